"""An alias: mail for its name goes to other addresses. Forwards and the catch-all (`@domain`) are aliases too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.kinds.mailbox import addresses
from reconciler.model import Attribute, Kind, Ref, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from reconciler.findings import Origin
    from reconciler.kinds.site import Site


def _refs(resource: Resource) -> Sequence[Ref]:
    targets = resource.get("to") or ()
    return (Ref("domain", resource.domain), *(Ref("address", canonical.base_address(to)) for to in targets))


def _risky(resource: Resource, inside: frozenset[str]) -> bool:
    """A catch-all, or a redirect that leaves the domains we know."""
    targets = resource.get("to")
    return resource.address.name.startswith("@") or any(canonical.domain_of(to) not in inside for to in targets)


ORDER = 2
KIND = Kind(
    name="alias",
    namespace="address",
    key=canonical.address,
    refs=_refs,
    alone=lambda _name: True,
    risky=_risky,
    attributes=(
        Attribute("to", required=True, normal=addresses, sensitive=lambda _name: True, types=(tuple,)),
        Attribute("owner", local=True),
        Attribute("reason", local=True),
        Attribute("approved_by", local=True),
        Attribute("expires", local=True),
    ),
)


def expand(site: Site) -> Iterator[Resource]:
    """Aliases, forwards that have no mailbox of their name, the catch-all, and the template's role addresses."""
    if site.mail is None or site.boxes.get("alias_of"):
        return
    for name, said, origin in _declared(site):
        address = f"@{site.domain}" if name == "" else site.address(name, origin)
        if address is not None:
            targets = said if isinstance(said, list) else said["to"]
            path = origin if isinstance(said, list) else site.at(*origin.path, "to")
            to = site.addresses(targets, path)
            extra = {} if isinstance(said, list) else {k: said[k] for k in _LOCAL if k in said}
            if extra and site.over(said, KIND.name, address, forward=origin.path[0] == "forwards"):
                continue
            owner = site.owner(extra.get("owner", site.boxes.get("owner")), KIND.name, address)
            attributes = {**extra, "owner": owner, "to": to}
            yield KIND.resource(site.mail, address, attributes, domain=site.domain, tenant=site.tenant, origin=origin)


_LOCAL = ("owner", "reason", "approved_by", "expires")


def _declared(site: Site) -> Iterator[tuple[str, Any, Origin]]:
    boxes = {
        canonical.address(name, site.domain) for part in ("mailboxes", "shared") for name in site.boxes.get(part, {})
    }
    taken = set(boxes)
    for section in ("aliases", "forwards"):
        for name, said in site.boxes.get(section, {}).items():
            address = canonical.address(name, site.domain)
            taken.add(address)
            if section == "aliases" or address not in boxes:
                yield name, said, site.at(section, name)
    if "catch_all" in site.boxes:
        yield "", site.boxes["catch_all"], site.at("catch_all")
    for name, targets in site.baseline.aliases.items():
        if canonical.address(name, site.domain) not in taken:
            yield name, _of_template(targets), site.at_dns("template")


def _of_template(said: Any) -> Mapping[str, Any]:
    """A template's alias in the long form: a place inside the template's list would be no line of the tenant's."""
    return {"to": said} if isinstance(said, list) else dict(said)
