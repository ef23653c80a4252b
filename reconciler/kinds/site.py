"""One domain as its documents, its template and the agency's defaults describe it: what `expand` functions read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.findings import Origin, Rule
from reconciler.model import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.findings import Finding

BAD_NAME = Rule(
    "IN204",
    "error",
    "Not a usable name",
    "Write a name that mail and DNS servers accept.",
    why="No server takes mail for such a name or answers for it: what is declared under it would fail when it "
    "is applied.",
)

Path = tuple[str | int, ...]


class Baseline(NamedTuple):
    """What a template gives a domain, rendered: plain data in the shapes of the domain's own files."""

    records: tuple[Mapping[str, Any], ...] = ()
    dkim: Mapping[str, Any] | None = None
    aliases: Mapping[str, Any] = {}


class Gone(NamedTuple):
    """Who is gone by the day: `heirs` maps each of them to who has by now what was theirs (None: nobody).

    `boxes` are the addresses of the mailboxes that were theirs: as members of a shared mailbox they count no more.
    """

    heirs: Mapping[str, str | None] = {}
    boxes: frozenset[str] = frozenset()


class Ended(NamedTuple):
    """What a day took from a thing that Git goes on declaring: `parts` of it, and some of its `members`.

    The rest of the thing is declared as ever. `owner` is whose it was, where that is somebody else by now.
    """

    why: str = "expired"  # or offboarding
    parts: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    owner: str | None = None

    def and_(self, other: Ended) -> Ended:
        """Both at once. What somebody takes along who leaves is the stronger reason."""
        why = self.why if self.why == other.why else "offboarding"
        owner = self.owner or other.owner
        return Ended(why, self.parts | other.parts, self.members | other.members, owner)


FORWARD = frozenset({"copies_to", "keep_copy", "reason", "approved_by", "expires"})


class Site(NamedTuple):
    """A domain with everything that is said about it. `mail` and `dns` are provider names, None = not ours.

    `quota` is what the domain or tenant says of its boxes' sizes, `initial_quota` what new ones start with;
    `retention` is in days, `initial_ttl` in seconds.
    """

    tenant: str
    domain: str
    mail: str | None
    dns: str | None
    boxes: Mapping[str, Any]  # the mail file
    boxes_file: str
    names: Mapping[str, Any]  # the DNS file, empty where there is none
    names_file: str
    baseline: Baseline
    report: Callable[[Finding], None]
    quota: str | None = None
    initial_quota: str | None = None
    initial_ttl: int = 3600
    retention: int = 30
    today: str = ""
    ended: dict[Address, Ended] | None = None  # what of the domain holds no more since a day is over
    gone: Gone = Gone()

    def at(self, *path: str | int) -> Origin:
        """A place in the mail file."""
        return Origin(self.boxes_file, path)

    def at_dns(self, *path: str | int) -> Origin:
        """A place in the DNS file; without one, the mail file's first line stands for the whole domain."""
        return Origin(self.names_file, path) if self.names_file else self.at("domain")

    def over(self, said: Mapping[str, Any], kind: str, name: str, *, forward: bool) -> bool:
        """Whether what is said there held until a day that is over, or is a forward of who is gone; that is noted."""
        if said.get("expires", self.today) < self.today:
            self.end(kind, name, Ended(parts=FORWARD))
        elif forward and said["owner"] in self.gone.heirs:
            self.end(kind, name, Ended("offboarding", FORWARD))
        else:
            return False
        return True

    def end(self, kind: str, name: str, what: Ended) -> None:
        """Note that something of a thing holds no more."""
        if self.ended is not None and self.mail is not None:
            address = Address(self.mail, kind, name)
            self.ended[address] = self.ended[address].and_(what) if address in self.ended else what

    def owner(self, said: str | None, kind: str, name: str) -> str | None:
        """Whose it is by now: of somebody who is gone, the successor. Where there is none, it stays theirs."""
        heir = self.gone.heirs.get(said or "")
        if heir is None:
            return said
        self.end(kind, name, Ended("offboarding", owner=said))
        return heir

    def address(self, text: str, origin: Origin, *item: int) -> str | None:
        """The canonical address of a local part of this domain or a full address; None after reporting a bad one.

        It stands at `origin`, or as its `item` there.
        """
        try:
            return canonical.check_address(text, self.domain)
        except ValueError as error:
            place = origin._replace(path=(*origin.path, *item))
            self.report(BAD_NAME.at(self.domain, f"{error}.", place))
            return None

    def addresses(self, texts: list[str], origin: Origin) -> list[str]:
        """The canonical addresses of those that are usable; the others are reported."""
        found = [self.address(text, origin, index) for index, text in enumerate(texts)]
        return [address for address in found if address is not None]
