"""Which keys a domain's outgoing mail is signed with. It needs the keys' records to be published first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.kinds import dkim_key
from reconciler.model import Attribute, Kind, Ref, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.kinds.site import Site


def _refs(resource: Resource) -> Sequence[Ref]:
    keys = [dkim_key.name(selector, resource.address.name) for selector in resource.get("selectors")]
    return [ref for key in keys for ref in (Ref("dkim_key", key), Ref("record", f"TXT/{key}"))]


ORDER = 5
KIND = Kind(
    name="dkim_signing",
    namespace="dkim_signing",
    key=canonical.domain,
    refs=_refs,
    attributes=(
        Attribute("selectors", required=True, normal=lambda _, value: tuple(sorted(set(value))), types=(tuple,)),
    ),
)


def expand(site: Site) -> Iterator[Resource]:
    """The selectors of the domain's `dkim` block that sign."""
    found = dkim_key.declared(site)
    if found is None or site.mail is None or not found[0].get("sign"):
        return
    block, origin = found
    place = site.at_dns("dkim", "sign") if origin.path == ("dkim",) else origin
    yield KIND.resource(
        site.mail, site.domain, {"selectors": block["sign"]}, domain=site.domain, tenant=site.tenant, origin=place
    )
