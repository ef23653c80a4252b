"""Checks over how mail is to be delivered to a domain: its MX, MTA-STS (RFC 8461) and the reports of it (RFC 8460)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.checks.places import place
from reconciler.findings import Rule
from reconciler.kinds.record import label, lenient, tag
from reconciler.model import Address
from reconciler.mta_sts import enforcing
from reconciler.tags import tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.agency import Agency
    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.model import Resource, State

NUMBERS = Rule(
    "DN026",
    "error",
    "An MX leads to an address of numbers",
    "Write the host's name; its A record holds the address.",
    why="An MX holds a name (RFC 5321, 5.1). `192.0.2.1.` is looked up as a name, does not exist, and mail bounces.",
)
ALIAS = Rule(
    "DN027",
    "error",
    "An MX leads to a CNAME",
    "Name the host itself in the MX, or give the name an A record.",
    why="An MX must not lead to an alias (RFC 2181, 10.3): some senders deliver all the same, others do not, and "
    "nobody finds out which.",
)
NOT_ALONE = Rule(
    "DN029",
    "error",
    "A null MX beside others",
    "Take `0 .` out, or all the others.",
    why="`0 .` says that the domain takes no mail at all (RFC 7505, 3); beside a real MX each sender chooses.",
)
INVALID = Rule(
    "DN034",
    "error",
    "MTA-STS or TLS-RPT that senders do not take",
    "Correct it: `v=STSv1; id=20270101` (letters and digits, at most 32), `v=TLSRPTv1; rua=mailto:ADDRESS`.",
    why="A record that is not understood counts as none: connections are not protected, and no report says so.",
)
BLIND = Rule(
    "DN035",
    "error",
    "MTA-STS is enforced and nobody hears of failures",
    "Publish TLS-RPT too: a TXT `v=TLSRPTv1; rua=mailto:ADDRESS` at `_smtp._tls`.",
    why="Under `enforce` a sender that cannot connect safely keeps the mail and gives up after days. Without TLS "
    "reports (RFC 8460) the domain goes silent, and nothing says why.",
)
UNNAMED = Rule(
    "DN039",
    "error",
    "An MX that the enforced MTA-STS policy does not name",
    "Take `mta_sts: enforce` back, or let the MX be those of the server.",
    why="Under `enforce` senders deliver only to hosts that the policy names (RFC 8461, 4.1): the others get no mail.",
)
SPLIT = Rule(
    "DN048",
    "error",
    "Mail goes partly to us and partly to others",
    "Let all of the MX be ours or none; name one more server of ours under `servers`. While a domain moves, `accept` it"
    " until the day it ends.",
    why="Each sender picks one of them: a part of the mail arrives on a server where nobody looks, or is refused.",
)
_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}\.")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_REPORTS = re.compile(r"(?:mailto:[^\s,;@]+@[^\s,;@]+|https:[^\s,;]+)", re.IGNORECASE)
_MTA_STS, _TLS = "_mta-sts.", "_smtp._tls."


def check(files: Files, sets: Mapping[str, Sequence[Resource]], state: State, agency: Agency) -> Iterator[Finding]:
    """Every finding of this theme. `sets` are the record sets of `state` by type."""
    policies = enforcing(agency.servers)
    aliases = {label(resource.address.name): resource for resource in sets.get("CNAME", ())}
    for resource in sets.get("MX", ()):
        yield from _mx(files, resource, aliases)
        yield from _split(files, resource, agency.exchangers)
    for resource in sets.get("TXT", ()):
        name = label(resource.address.name)
        if name.startswith(_MTA_STS):
            yield from _forms(files, resource, "v=stsv1")
            yield from _enforced(files, resource, state, policies)
        elif name.startswith(_TLS):
            yield from _forms(files, resource, "v=tlsrptv1")


def _mx(files: Files, resource: Resource, aliases: Mapping[str, Resource]) -> Iterator[Finding]:
    values, subject = resource.get("values"), resource.address.name
    for value in values:
        host = value.partition(" ")[2]
        if _ADDRESS.fullmatch(host):
            yield NUMBERS.at(subject, f"`{value}`.", place(files, resource, value))
        elif host == "." and len(values) > 1:
            others = ", ".join(f"`{other}`" for other in values if other != value)
            yield NOT_ALONE.at(subject, f"`{value}` stands beside {others}.", place(files, resource, value))
        elif host.removesuffix(".") in aliases:
            to = aliases[host.removesuffix(".")].get("values")[0]
            yield ALIAS.at(subject, f"`{value}`: it is a CNAME to {to}", place(files, resource, value))


def _split(files: Files, resource: Resource, ours: AbstractSet[str]) -> Iterator[Finding]:
    hosts = {value: value.partition(" ")[2].removesuffix(".") for value in resource.get("values")}
    strange = [value for value, host in hosts.items() if host and host not in ours]
    if strange and ours & set(hosts.values()):
        mine = next(value for value, host in hosts.items() if host in ours)
        what = f"`{strange[0]}` stands beside `{mine}`, and is no host that `servers` name as `mx`."
        yield SPLIT.at(resource.address.name, what, place(files, resource, strange[0]))


def _forms(files: Files, resource: Resource, wanted: str) -> Iterator[Finding]:
    for value in resource.get("values"):
        fault = fault_of(value, wanted)
        if fault:
            name = label(resource.address.name)
            what = f"{name} says `{value}`: {fault}."
            yield INVALID.at(resource.address.name, what, place(files, resource, value))


def fault_of(value: str, wanted: str) -> str:
    """What is wrong with a value that should be an MTA-STS (`v=stsv1`) or TLS-RPT record; empty where nothing is."""
    if tag(value) != wanted:
        return f"it does not begin with `{wanted.replace('sts', 'STS').replace('tlsrpt', 'TLSRPT')};`"
    try:
        said = tags(value)
    except ValueError as error:
        return str(error)
    if wanted == "v=stsv1":
        return "" if _ID.fullmatch(said.get("id", "")) else "it has no `id` of letters and digits, at most 32"
    reports = [uri.strip() for uri in said.get("rua", "").split(",")]
    return "" if all(map(_REPORTS.fullmatch, reports)) else "its `rua` is no list of `mailto:` or `https:`"


def identifier(value: str) -> str:
    """The id of an MTA-STS record; empty where it has none."""
    try:
        return tags(value).get("id", "")
    except ValueError:
        return ""


def _enforced(
    files: Files, resource: Resource, state: State, policies: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """What an enforced policy needs: reports, and that it names every MX. Its id tells which: {id: the MX it names}."""
    domain = label(resource.address.name).removeprefix(_MTA_STS)
    for value in resource.get("values"):
        named = policies.get(identifier(value))
        if named is None:
            continue
        if Address(resource.address.provider, "record", f"TXT/{_TLS}{domain}") not in state:
            what = f"There is no TXT at {_TLS}{domain}."
            yield BLIND.at(domain, what, place(files, resource, value))
        mx = state.get(Address(resource.address.provider, "record", f"MX/{domain}"))
        hosts = {lenient("MX", text).partition(" ")[2] for text in named}
        strange = [v for v in (mx.get("values") if mx else ()) if v.partition(" ")[2] not in hosts]
        if mx is not None and strange:
            what = f"The policy names {', '.join(sorted(hosts))} The MX is `{strange[0]}`."
            yield UNNAMED.at(domain, what, place(files, mx, strange[0]))
