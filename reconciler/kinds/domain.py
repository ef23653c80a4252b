"""A mail domain: a server takes mail for it. With `alias_of` it is another domain's twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.model import Attribute, Kind, Ref, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.kinds.site import Site


def _refs(resource: Resource) -> Sequence[Ref]:
    twin = resource.get("alias_of")
    return (Ref("domain", twin),) if twin else ()


ORDER = 0
KIND = Kind(
    name="domain",
    namespace="domain",
    key=canonical.domain,
    refs=_refs,
    attributes=(
        Attribute("alias_of", default=None, normal=lambda _, value: value and canonical.domain(value)),
        Attribute("owner", local=True),
    ),
)


def expand(site: Site) -> Iterator[Resource]:
    """The domain itself, where its mail is ours."""
    if site.mail is None:
        return
    owner = site.owner(site.boxes.get("owner"), KIND.name, site.domain)
    attributes = {"alias_of": site.boxes.get("alias_of"), "owner": owner}
    yield KIND.resource(
        site.mail, site.domain, attributes, domain=site.domain, tenant=site.tenant, origin=site.at("domain")
    )
