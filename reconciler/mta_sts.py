"""The policy of RFC 8461 that goes with a domain's MX, and the id its record carries."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


WELL_KNOWN = "/.well-known/mta-sts.txt"  # of the host `mta-sts.` in front of the domain (RFC 8461, 3.3)


def policy(mode: str, hosts: Sequence[str]) -> str:
    """The policy text of RFC 8461 for a mode (testing, enforce) and the MX values of the domain."""
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host.split()[-1].removesuffix('.')}" for host in hosts)]
    return "".join(f"{line}\r\n" for line in [*lines, "max_age: 604800"])


@lru_cache(maxsize=1024)  # a template asks for each of its domains, and servers are few
def policy_id(mode: str, hosts: tuple[str, ...]) -> str:
    """The id that goes with the policy: it changes exactly when the policy text does (RFC 8461 section 3.1)."""
    return hashlib.sha256(policy(mode, hosts).encode()).hexdigest()[:32]


def fields(text: str) -> dict[str, list[str]]:
    """{key: its values} of a policy, whoever wrote it: lines end in CRLF or LF, in any order (RFC 8461, 3.2)."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), []).append(value.strip().lower())
    return found


def difference(served: str, text: str) -> str:
    """How a policy that is served differs from what it should say; empty where it does not."""
    there, wanted = fields(served), fields(text)
    for key, values in wanted.items():
        said = there.get(key, [])
        if sorted(said) != sorted(values):
            return f"it says {_quoted(key, said) or f'no `{key}`'}, not {_quoted(key, values)}"
    return ""


def _quoted(key: str, values: Sequence[str]) -> str:
    return ", ".join(f"`{key}: {value}`" for value in values)


def policies(servers: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, Sequence[str]]]:
    """{id: (mode, MX values)} of the policies that the estate's servers can have."""
    lists: list[Sequence[str]] = [server.get("mx", ()) for server in servers.values()]
    return {policy_id(mode, tuple(hosts)): (mode, hosts) for mode in ("testing", "enforce") for hosts in lists}


def enforcing(servers: Mapping[str, Mapping[str, Any]]) -> dict[str, Sequence[str]]:
    """{id: MX values} of those in the mode `enforce`."""
    return {id_: hosts for id_, (mode, hosts) in policies(servers).items() if mode == "enforce"}
