"""GitOps for email hosting.

Git says what should be; providers say what is; the ledger says what was ours.
Compile, compare, check, order, show; then, if asked, apply and look again.
"""

__version__ = "0.1.0"
