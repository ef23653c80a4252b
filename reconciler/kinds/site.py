"""One domain as its documents, its template and the agency's defaults describe it: what `expand` functions read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.findings import Origin, Rule
from reconciler.model import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.findings import Finding

BAD_NAME = Rule("IN204", "error", "Not a usable name", "Write a name that mail and DNS servers accept.")

Path = tuple[str | int, ...]


class Baseline(NamedTuple):
    """What a template gives a domain, rendered: plain data in the shapes of the domain's own files."""

    records: tuple[Mapping[str, Any], ...] = ()
    dkim: Mapping[str, Any] | None = None
    aliases: Mapping[str, Any] = {}


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
    ended: dict[Address, str] | None = None  # what of the domain holds no more since its day is over, and why

    def at(self, *path: str | int) -> Origin:
        """A place in the mail file."""
        return Origin(self.boxes_file, path)

    def at_dns(self, *path: str | int) -> Origin:
        """A place in the DNS file; without one, the mail file's first line stands for the whole domain."""
        return Origin(self.names_file, path) if self.names_file else self.at("domain")

    def over(self, said: Mapping[str, Any], kind: str, name: str) -> bool:
        """Whether what is said there held until a day that is over; then the address is noted."""
        if "expires" not in said or said["expires"] >= self.today or self.mail is None:
            return False
        if self.ended is not None:
            self.ended[Address(self.mail, kind, name)] = "expired"
        return True

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
