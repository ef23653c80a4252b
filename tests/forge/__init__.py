"""A GitHub on loopback, with its Actions, for tests of the pull-request flow."""
