"""Checks: one file per theme, small functions that yield findings with stable codes. They know no I/O."""
