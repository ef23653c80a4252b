"""What an apply asks for, one step at a time; a driver performs it and sends the answer back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from reconciler.errors import ProviderError
from reconciler.model import Address, Entry, Resource, Scope

if TYPE_CHECKING:
    from reconciler.changes import Batch, Change, TenantPlan

Live = Mapping[tuple[str, str], tuple[Resource, ...] | ProviderError]


class Begin(NamedTuple):
    """Note what will be done, before anything is, and take the tenant. Answer: None, or the Locked or LedgerError."""

    plan: TenantPlan


class Identify(NamedTuple):
    """See that a live system is the one `seen`; leave an identity where it has none. Answer: it, or ProviderError."""

    provider: str
    seen: str | None


class Write(NamedTuple):
    """Write a batch. Answer: the computed attributes of what was made, or the error. One that is no ProviderError says
    that the tenant is ours no more, and that nothing was written.
    """

    tenant: str
    batch: Batch


class Read(NamedTuple):
    """Read scopes again. Answer: `Live`, by (provider, domain)."""

    scopes: tuple[tuple[str, Scope], ...]


class Proof(NamedTuple):
    """What one server said of one record set that was changed; `why` is empty where it says what it should.

    `note` is what a recursive resolver made of it, mostly `secure` or `insecure`; of an authoritative server nothing.
    Of a domain that signs with other keys it is how a message came, and `server` the mailbox. Of a mailbox that was
    closed it is what a login meets, and `server` the provider.
    """

    tenant: str
    address: Address
    server: str
    why: str
    note: str = ""


class Prove(NamedTuple):
    """See what the world sees of the record sets that were changed, of who signs and of who is let in no more.

    Answer: a Proof for each look.
    """

    tenant: str
    changes: tuple[Change, ...]


class Record(NamedTuple):
    """Write to the ledger what was confirmed (None: forget the line), and what became of each change.

    `unseen`: of some nobody could see what became, so the intent stays a claim. Answer: None, or the error that says
    why it is not noted.
    """

    tenant: str
    entries: Mapping[Address, Entry | None]
    scopes: tuple[tuple[str, Scope], ...]
    done: tuple[Change, ...] = ()
    failed: tuple[tuple[Change, str], ...] = ()
    unseen: bool = False
    identities: Mapping[str, str] = {}
    held: bool = False  # something of the plan is left for a later apply
    proofs: tuple[Proof, ...] = ()  # what name servers said of what was made

    @property
    def whole(self) -> bool:
        return not self.failed and not self.held


Effect = Begin | Identify | Write | Read | Prove | Record
