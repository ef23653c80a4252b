"""Where a tenant's files say that mail for a name goes to others, down to the single target or member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.findings import Origin

if TYPE_CHECKING:
    from reconciler.files import Files
    from reconciler.model import Address, Resource


class Places:
    """The places in one tenant's files. What was looked up once is kept: a file may hold thousands of targets."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._forwards: dict[str, dict[str, str]] = {}  # domain -> {address: the name as written}
        self._targets: dict[Address, dict[str, Origin]] = {}

    def redirect(self, resource: Resource) -> Origin:
        """Where it stands that mail goes elsewhere: the alias; of a mailbox the forward on its own name."""
        origin, host = resource.origin, resource.domain
        assert origin is not None
        if resource.address.kind == "alias":
            return origin
        if host not in self._forwards:
            said = self._files.domains[host].get("forwards", ())
            self._forwards[host] = {canonical.address(name, host): name for name in said}
        written = self._forwards[host].get(resource.address.name)
        return origin if written is None else Origin(origin.file, ("forwards", written))

    def target(self, resource: Resource, target: str) -> Origin:
        """Where a resource names a target or member: the item of its list; of a template's, where that is used."""
        assert resource.origin is not None
        if resource.address not in self._targets:
            origins = [resource.origin]
            if resource.attributes.get("copies_to"):
                origins.insert(0, self.redirect(resource))
            found = [self._items(resource, origin) for origin in origins]
            self._targets[resource.address] = {to: place for items in found for to, place in items.items()}
        return self._targets[resource.address].get(target, self._list(resource.origin, resource)[0])

    def _items(self, resource: Resource, origin: Origin) -> dict[str, Origin]:
        """{target or member: its place} of what stands there."""
        place, said = self._list(origin, resource)
        items = enumerate(said) if isinstance(said, list) else ((member, member) for member in said)
        return {
            canonical.address(text, resource.domain): place._replace(path=(*place.path, key)) for key, text in items
        }

    def _list(self, origin: Origin, resource: Resource) -> tuple[Origin, Any]:
        """Where the list of targets or members stands, and what it is; of a template's alias the place of the whole."""
        node: Any = self._files.domains[resource.domain] if "/domains/" in origin.file else {}
        for step in origin.path:
            node = node.get(step, {}) if isinstance(node, dict) else {}
        key = next((key for key in ("to", "members") if isinstance(node, dict) and key in node), None)
        if key:
            return origin._replace(path=(*origin.path, key)), node[key]
        return origin, node if isinstance(node, list) else ()
