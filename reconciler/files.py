"""One tenant's documents, by what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Files(NamedTuple):
    """One tenant's documents by what they are: `domains` and `dns` map a file's name (no suffix) to its content.

    `folder` is the tenant's folder, `tenants/<tenant>`; missing files are empty mappings.
    """

    tenant: str
    tenant_file: Mapping[str, Any] = {}
    control: Mapping[str, Any] = {}
    domains: Mapping[str, Mapping[str, Any]] = {}
    dns: Mapping[str, Mapping[str, Any]] = {}

    @property
    def folder(self) -> str:
        return f"tenants/{self.tenant}"
