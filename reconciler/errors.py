"""What can go wrong, as one tree.

    ReconcilerError
      InputError        what somebody wrote is wrong; carries findings with file, line and column
      ProviderError     a live system
        Unreachable     it does not answer (server down, file locked, folder not readable)
        Refused         it answers and says no (credentials, permission, a value it does not accept)
        Missing         it answers, but what was asked for is not there (a zone, a table)
        Conflict        what should be changed is no longer as it was read; nothing was written
      StalePlan         what would be done differs from what was reviewed
      Locked            somebody else is applying the tenant
      LedgerError       the record of what was applied cannot be read or written
        RemoteError     the remote that holds it does not answer
      ForgeError        the Git host does not show or tell what it is asked to

Only the shell raises these; the core returns findings. The command line alone turns them into text and
exit codes. No message holds a secret: providers put names of settings into them, never values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.findings import Finding


class ReconcilerError(Exception):
    """Anything this program reports to its user; every other exception is a bug."""


class InputError(ReconcilerError):
    """What somebody wrote cannot be used. `findings` say where and why, all of them at once."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{f.origin}: {f.summary}" for f in self.findings))


class ProviderError(ReconcilerError):
    """A live system could not be read or written."""


class Unreachable(ProviderError):
    """It does not answer; a later try may succeed."""


class Refused(ProviderError):
    """It says no; trying again without a change elsewhere is useless."""


class Missing(ProviderError):
    """It answers, but the thing asked for is not there."""


class Conflict(ProviderError):
    """The thing to change is no longer as it was read. Nothing of the batch was written."""


class StalePlan(ReconcilerError):
    """The plan differs from the one that was reviewed."""


class Locked(ReconcilerError):
    """Somebody else is applying the tenant, or has taken it over."""


class LedgerError(ReconcilerError):
    """The record of what was applied cannot be read or written."""


class RemoteError(LedgerError):
    """The remote that holds the ledger does not answer; a later try may succeed."""


class ForgeError(ReconcilerError):
    """The Git host does not answer, or says no; the message names the request."""
