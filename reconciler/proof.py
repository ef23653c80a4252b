"""Whether the world sees what was applied: what name servers said is compared with what they should say.

Asked are the record sets that a run changed, at every server that the DNS provider's `authoritative` names; those that
all of them say, of a recursive resolver as well. Where no server is named nothing is known: `unverified`, never fine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler import closed
from reconciler.answers import Seal
from reconciler.effects import Proof
from reconciler.findings import Origin, Rule
from reconciler.kinds import dkim_signing, mailbox
from reconciler.kinds.record import SHARED, label, rtype
from reconciler.tags import tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.answers import Answer, Arrival, Hearsay, Question, Server
    from reconciler.changes import Change
    from reconciler.findings import Finding
    from reconciler.model import Address

    Asked = tuple[Server, Question]

UNSEEN = Rule(
    "LV001",
    "error",
    "A name server does not say what was applied",
    "See whether that server gets the zone (NOTIFY, transfers, its own configuration), or undo the run.",
    why="Whoever asks that server goes by what was there before, or by nothing: mail is lost for some senders only.",
)
BROKEN = Rule(
    "LV002",
    "error",
    "A resolver does not get what was applied",
    "Compare the DS records at the registrar with the zone's keys, see whether its signatures are current and whether "
    "the delegation leads to its name servers (`delv NAME TYPE` says where the chain ends), or undo the run.",
    why="The servers have the records, and whoever asks a resolver gets none of them, or others: mail is deferred, "
    "then returned, and nothing can be verified.",
)
UNSIGNED = Rule(
    "LV003",
    "error",
    "A message did not come as it should",
    "Look at it in the probe mailbox, or for it in the mail servers' logs; see whether the signer reads the keys from "
    "where they are written, or undo the run.",
    why="What the domain's people send comes just as this message did: without a signature that counts "
    "receivers refuse it, or put it to the spam.",
)
_RESULT = re.compile(r"\s*(dkim|dmarc|spf)\s*=\s*([a-z]+)", re.IGNORECASE)

UNREAD = Seal("unknown", "the message is too long to be read")
LONGEST = 200  # characters of what a server says in its place


def question(address: Address) -> Question:
    """What is asked for a record set."""
    return label(address.name), rtype(address.name)


def agrees(change: Change, answer: Answer) -> bool:
    """Whether a server says of a set what it should after the change. Others' values beside ours are theirs, and so is
    what a wildcard answers in the place of a set that is gone (RFC 4592).
    """
    aim = () if change.aim is None else tuple(change.aim.get("values"))
    if answer.status == "failed":
        return False
    if aim and rtype(change.address.name) not in SHARED:
        return set(answer.values) == set(aim)
    gone = set() if change.live is None else set(change.live.get("values")) - set(aim)
    return set(aim) <= set(answer.values) and not gone & set(answer.values)


def proofs(asked: Mapping[Asked, Change], heard: Mapping[Asked, Answer]) -> Iterator[Proof]:
    """What came of it, a set and a server each."""
    for one, answer in sorted(heard.items()):
        change = asked[one]
        why = "" if agrees(change, answer) else _said(answer)
        yield Proof(change.tenant, change.address, called(one[0]), why)


def everywhere(changes: Iterable[Change], told: Iterable[Proof]) -> list[Change]:
    """The changes that all servers say: only these may be asked of what keeps its answers."""
    wrong = {(proof.tenant, proof.address) for proof in told if proof.why}
    return [change for change in changes if (change.tenant, change.address) not in wrong]


def resolved(asked: Mapping[Asked, Change], heard: Mapping[Asked, Hearsay]) -> Iterator[Proof]:
    """What a resolver made of it. What it may have in its cache is no failure until the time for that has run out."""
    for one, said in sorted(heard.items()):
        change = asked[one]
        late = f"{_said(said.answer)}, though what a cache may keep has run out" if said.overdue else ""
        yield Proof(change.tenant, change.address, called(one[0]), said.broken or late, _note(change, said))


def _note(change: Change, said: Hearsay) -> str:
    if said.broken or said.answer.status == "failed":
        return "broken" if said.broken else "unknown"
    chain = "secure" if said.secure else "insecure"
    if agrees(change, said.answer):
        return chain
    was = () if change.live is None else change.live.get("values")
    what = "as before" if set(said.answer.values) == set(was) else "something else"
    return f"{chain}, {what}, overdue" if said.overdue else f"{chain}, {what} for up to {said.ttl} s"


def arrived(changes: Iterable[Change], came: Mapping[str, Arrival], mailbox: str) -> Iterator[Proof]:
    """How a message came from each domain that signs with other keys now."""
    for change in sorted(changes, key=lambda change: change.address):
        yield Proof(change.tenant, change.address, mailbox, *_carried(change, came[change.domain]))


def _carried(change: Change, arrival: Arrival) -> tuple[str, str]:
    """(what is wrong, what is noted)."""
    selectors = () if change.aim is None else change.aim.get("selectors")
    if not arrival.came:
        return ("", f"unknown: {arrival.problem}") if arrival.problem else ("no message came", "lost")
    signed = sorted(selector for selector in selectors if (change.domain, selector) in _signers(arrival))
    if not signed:
        return f"it came without a signature of {change.domain} by {' or '.join(selectors)}", "unsigned"
    seals = {selector: arrival.seals.get(selector, UNREAD) for selector in signed}
    if all(seal.status == "fail" for seal in seals.values()):
        why = "; ".join(f"by {selector}: {seal.why}" for selector, seal in seals.items())
        return f"no signature of {change.domain} holds: {why}", "failed"
    results = _results(arrival)
    bad = {"fail", "permerror"}
    wrong = [f"{name}={'/'.join(sorted(said))}" for name, said in results.items() if said & bad and name != "spf"]
    if wrong:
        return f"the server that took it says {', '.join(wrong)}", "failed"
    by = " and ".join(f"{selector} ({_worth(seal)})" for selector, seal in seals.items())
    return "", ", ".join([f"signed by {by}", *(f"{name}={'/'.join(sorted(said))}" for name, said in results.items())])


def _worth(seal: Seal) -> str:
    said = {"pass": "verified", "fail": "does not hold", "unknown": "unverified"}[seal.status]
    return f"{said}: {seal.why}" if seal.why else said


def _signers(arrival: Arrival) -> Iterator[tuple[str, str]]:
    """(domain, selector) of each signature that can be read."""
    for text in arrival.signatures:
        try:
            said = tags(text)
        except ValueError:
            continue
        yield said.get("d", "").lower(), said.get("s", "").lower()


def _results(arrival: Arrival) -> dict[str, set[str]]:
    """What receiving servers made of DKIM, DMARC and SPF; one good signature is enough (RFC 6376, 6.1).

    SPF is about the envelope's sender, which is the probe mailbox itself: it is told, and fails no domain.
    """
    found: dict[str, set[str]] = {}
    for text in arrival.results:
        for part in re.sub(r"\([^()]*\)", "", text).split(";")[1:]:
            if match := _RESULT.match(part):
                found.setdefault(match[1].lower(), set()).add(match[2].lower())
    return {name: {"pass"} if "pass" in said else said for name, said in sorted(found.items())}


def called(server: Server) -> str:
    """A server as people write it."""
    host = f"[{server[0]}]" if ":" in server[0] else server[0]
    return host if server[1] == 53 else f"{host}:{server[1]}"


def _said(answer: Answer) -> str:
    return {
        "failed": "it gives no answer with authority",
        "nxdomain": "it says that there is no such name",
        "empty": "it says that there is nothing of that type",
        "found": f"it says {_short(', '.join(answer.values))}",
    }[answer.status]


def _short(text: str) -> str:
    """As much of a server's words as helps: a TXT may have 64 KB."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def findings(told: Iterable[Proof], changes: Iterable[Change]) -> Iterator[Finding]:
    """A finding for each thing of which somebody saw something else than was applied."""
    origins = {change.address: change.origin for change in changes}
    wrong: dict[Address, list[Proof]] = {}
    for proof in told:
        if proof.why:
            wrong.setdefault(proof.address, []).append(proof)
    for address, some in wrong.items():
        said = "; ".join(f"{proof.server}: {proof.why}" for proof in some)
        yield _rule(some[0]).at(str(address), f"{said}.", origins[address] or Origin(""))


def _rule(proof: Proof) -> Rule:
    if proof.address.kind == mailbox.KIND.name:
        return closed.OPEN
    if proof.address.kind == dkim_signing.KIND.name:
        return UNSIGNED
    return BROKEN if proof.note else UNSEEN
