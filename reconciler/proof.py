"""Whether the world sees what was applied: what name servers said is compared with what they should say.

Asked are the record sets that a run changed, at every server that the DNS provider's `authoritative` names; those that
all of them say, of a recursive resolver as well. Where no server is named nothing is known: `unverified`, never fine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.effects import Proof
from reconciler.findings import Origin, Rule
from reconciler.kinds.record import SHARED, label, rtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.answers import Answer, Hearsay, Question, Server
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
    "A resolver gets no answer to what was applied",
    "Compare the DS records at the registrar with the zone's keys, see whether its signatures are current and whether "
    "the delegation leads to its name servers (`delv NAME TYPE` says where the chain ends), or undo the run.",
    why="The servers have the records, and whoever asks a resolver that validates gets none of them: mail is deferred, "
    "then returned, and nothing can be verified.",
)


def question(address: Address) -> Question:
    """What is asked for a record set."""
    return label(address.name), rtype(address.name)


def agrees(change: Change, answer: Answer) -> bool:
    """Whether a server says of a set what it should after the change. Others' values beside ours are theirs."""
    aim = () if change.aim is None else tuple(change.aim.get("values"))
    if answer.status == "failed":
        return False
    if rtype(change.address.name) not in SHARED:
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
    """What a resolver made of it. What it has in its cache from before is no failure, and goes away by itself."""
    for one, said in sorted(heard.items()):
        change = asked[one]
        yield Proof(change.tenant, change.address, called(one[0]), said.broken, _note(change, said))


def _note(change: Change, said: Hearsay) -> str:
    if said.broken or said.answer.status == "failed":
        return "broken" if said.broken else "unknown"
    chain = "secure" if said.secure else "insecure"
    return chain if agrees(change, said.answer) else f"{chain}, as before for up to {said.ttl} s"


def called(server: Server) -> str:
    """A server as people write it."""
    host = f"[{server[0]}]" if ":" in server[0] else server[0]
    return host if server[1] == 53 else f"{host}:{server[1]}"


def _said(answer: Answer) -> str:
    return {
        "failed": "it gives no answer with authority",
        "nxdomain": "it says that there is no such name",
        "empty": "it says that there is nothing of that type",
        "found": f"it says {', '.join(answer.values)}",
    }[answer.status]


def findings(told: Iterable[Proof], changes: Iterable[Change]) -> Iterator[Finding]:
    """A finding for each set that some server does not have as it was applied, or that a resolver cannot get."""
    origins = {change.address: change.origin for change in changes}
    wrong: dict[Address, list[Proof]] = {}
    for proof in told:
        if proof.why:
            wrong.setdefault(proof.address, []).append(proof)
    for address, some in wrong.items():
        said = "; ".join(f"{proof.server}: {proof.why}" for proof in some)
        yield (BROKEN if some[0].note else UNSEEN).at(str(address), f"{said}.", origins[address] or Origin(""))
