"""A DKIM key pair on the signer (RFC 6376, RFC 8463). Its name is where its public half is published.

The private half is made on the signer and never leaves it. `public` is the whole text of the DNS record
(`v=DKIM1; k=rsa; p=…`), known after the key was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.model import Attribute, Computed, Kind, Ref, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from reconciler.findings import Origin
    from reconciler.kinds.site import Site


def name(selector: str, domain: str) -> str:
    """`s1._domainkey.a.example`, the name of the key and of its record."""
    return f"{selector}._domainkey.{domain}"


def _refs(resource: Resource) -> Sequence[Ref]:
    return (Ref("domain", resource.domain),)


ORDER = 3
KIND = Kind(
    name="dkim_key",
    namespace="dkim_key",
    key=canonical.domain,
    refs=_refs,
    attributes=(
        Attribute("type", required=True, immutable=True),
        Attribute("bits", required=True, immutable=True, types=(int,)),
        Attribute("public", computed=True, sensitive=lambda _name: True, types=(str, Computed)),
    ),
)


DEFAULT_OVERLAP = "7 days"
_BITS = {"rsa": 2048, "ed25519": 256}


def declared(site: Site) -> tuple[Mapping[str, Any], Origin] | None:
    """The `dkim` block that holds for a domain and where it stands; None where we do not sign."""
    if site.mail is None:
        return None
    own = "dkim" in site.names
    block = site.names["dkim"] if own else site.baseline.dkim
    return None if block is None else (block, site.at_dns("dkim" if own else "template"))


def overlap(block: Mapping[str, Any]) -> int:
    """How many days a key and its record rest after the last signature with them."""
    return -(-canonical.seconds(block.get("overlap", DEFAULT_OVERLAP)) // 86400)


def expand(site: Site) -> Iterator[Resource]:
    """The keys of the domain's `dkim` block."""
    found = declared(site)
    if found is None or site.mail is None:
        return
    block, origin = found
    for selector, key in block.get("keys", {}).items():
        place = site.at_dns("dkim", "keys", selector) if origin.path == ("dkim",) else origin
        attributes = {"type": key["type"], "bits": key.get("bits", _BITS[key["type"]])}
        yield KIND.resource(
            site.mail, name(selector, site.domain), attributes, domain=site.domain, tenant=site.tenant, origin=place,
            keep=overlap(block),
        )  # fmt: skip
