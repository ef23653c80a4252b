"""A mailbox: mail is kept under its name. Without `login` it is shared: its members read it, nobody logs in to it.

`state` is active, blocked (mail arrives, nobody logs in) or paused (mail is refused too). `copies_to` are outside
addresses that get a copy of each message; `keep_copy` says whether its own copy stays. `members` maps addresses
to `full` (read, write, send as) or `read`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.kinds.site import Ended
from reconciler.model import Attribute, Elements, Kind, Ref, Resource, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from reconciler.findings import Origin
    from reconciler.kinds.site import Site

MEMBERS = Elements(split=dict, join=lambda parts: dict(sorted(parts.items())), shared=False)


def _refs(resource: Resource) -> Sequence[Ref]:
    members = resource.get("members") or {}
    return (Ref("domain", resource.domain), *(Ref("address", member) for member in members))


def _members(_name: str, value: Value) -> Value:
    return {canonical.address(member): right for member, right in sorted(value.items())} if value else {}


def _always(_name: str) -> bool:
    return True


def addresses(_name: str, value: Value) -> Value:
    """A sorted set of canonical addresses, as a tuple."""
    return tuple(sorted({canonical.address(item) for item in value})) if value else ()


ORDER = 1
KIND = Kind(
    name="mailbox",
    namespace="address",
    key=canonical.address,
    refs=_refs,
    alone=lambda _name: True,
    # Kept mail must stay readable by nobody and leak to nobody; it still receives until its name is taken.
    retired={"state": "blocked", "members": {}, "copies_to": (), "keep_copy": True},
    attributes=(
        Attribute("state", default="active", sensitive=_always),
        Attribute("login", default=True, sensitive=_always, types=(bool,)),
        Attribute(
            "members", default={}, normal=_members, sensitive=_always, elements=lambda _name: MEMBERS, types=(dict,)
        ),
        Attribute("copies_to", default=(), normal=addresses, sensitive=_always, types=(tuple,)),
        Attribute("keep_copy", default=True, types=(bool,)),
        Attribute("quota", types=(int, str)),
        Attribute("name"),
        Attribute("renamed_from", local=True, normal=lambda _, value: canonical.address(value)),
        Attribute("owner", local=True),
        Attribute("reason", local=True),
        Attribute("approved_by", local=True),
        Attribute("expires", local=True),
    ),
)


def expand(site: Site) -> Iterator[Resource]:
    """Mailboxes and shared mailboxes, each with the forward that stands on its own name."""
    if site.mail is None:
        return
    forwards = _forwards(site)
    for section in ("mailboxes", "shared"):
        for name, said in site.boxes.get(section, {}).items():
            origin = site.at(section, name)
            address = site.address(name, origin)
            if address is not None:
                attributes = {**_said(site, said, origin), **_copies(site, address, forwards)}
                yield _resource(site, address, _without_the_gone(site, address, attributes), origin)


def _resource(site: Site, address: str, attributes: Mapping[str, Any], origin: Origin) -> Resource:
    assert site.mail is not None
    initial = {"quota": canonical.size(site.initial_quota)} if site.initial_quota and "quota" not in attributes else {}
    return KIND.resource(
        site.mail, address, attributes, domain=site.domain, tenant=site.tenant, origin=origin, initial=initial,
        keep=site.retention,
    )  # fmt: skip


def _said(site: Site, said: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    found: dict[str, Any] = {key: said[key] for key in ("owner", "state", "name") if key in said}
    if "renamed_from" in said:
        found["renamed_from"] = canonical.address(said["renamed_from"], site.domain)
    quota = said.get("quota", site.quota)
    if quota is not None:
        found["quota"] = canonical.size(quota)
    if origin.path[0] == "shared":
        path = site.at(*origin.path, "members")
        members = {site.address(member, path): right for member, right in said["members"].items()}
        found |= {"login": False, "members": {k: v for k, v in members.items() if k is not None}}
    return found


def _without_the_gone(site: Site, address: str, said: dict[str, Any]) -> dict[str, Any]:
    """What is left of it by the day: nobody logs in to the box of somebody who is gone, nor shares another one by it.

    A shared mailbox keeps its last members: `checks.ownership` refuses that.
    """
    if said["owner"] in site.gone.heirs and said.get("login", True) and said.get("state", "active") == "active":
        site.end(KIND.name, address, Ended("offboarding", frozenset({"state"})))
        said["state"] = "blocked"
    gone = {member for member in said.get("members", ()) if canonical.base_address(member) in site.gone.boxes}
    if gone and len(gone) < len(said["members"]):
        site.end(KIND.name, address, Ended("offboarding", members=frozenset(gone)))
        said["members"] = {member: right for member, right in said["members"].items() if member not in gone}
    said["owner"] = site.owner(said["owner"], KIND.name, address)
    return said


def _forwards(site: Site) -> dict[str, str]:
    """{canonical address: the name as written} of the domain's forwards."""
    return {canonical.address(name, site.domain): name for name in site.boxes.get("forwards", {})}


def _copies(site: Site, address: str, forwards: Mapping[str, str]) -> dict[str, Any]:
    if address not in forwards:
        return {}
    name = forwards[address]
    said = site.boxes["forwards"][name]
    if site.over(said, KIND.name, address, forward=True):
        return {}
    targets = site.addresses(said["to"], site.at("forwards", name, "to"))
    reasons = {key: said[key] for key in ("reason", "approved_by", "expires")}
    return {"copies_to": targets, "keep_copy": said.get("keep_copy", True), **reasons}
