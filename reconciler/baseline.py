"""How far a domain is from the baseline of mail authentication: what Git says is judged, and what the public is told.

Each item has points. It *conforms* where Git's value meets the baseline and public DNS says the same, *deviates* where
one of both is not so, and is *unverified* where nobody answered or nobody can be asked: never fine. Where a zone is not
ours, what is public is judged alone. The score is the points of what conforms, of 100.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.answers import POLICY
from reconciler.checks.dmarc import permissions
from reconciler.checks.transport import identifier
from reconciler.kinds import dkim_key, dkim_signing
from reconciler.kinds.record import label, null_mx, rtype, tag
from reconciler.model import Computed
from reconciler.mta_sts import WELL_KNOWN, difference, fields
from reconciler.results import Item, Standing
from reconciler.tags import tags, terms
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.answers import Answers, Question
    from reconciler.model import Resource

    Values = tuple[str, ...]
    Judged = tuple[int, str]  # (points, what to do next; empty: nothing)


class Estate(NamedTuple):
    """What holds for all: {domain: tenant}, and {id: text} of the MTA-STS policies that our servers can have."""

    domains: Mapping[str, str]
    policies: Mapping[str, str]


class Sets:
    """A domain's declared record sets. `ours`: its zone is in Git; `signers`: names of the keys it is signed with."""

    def __init__(self, domain: str, things: Iterable[Resource], estate: Estate, *, ours: bool) -> None:
        self.domain, self.estate, self.ours = domain, estate, ours
        some = list(things)
        self.values = {
            (label(t.address.name), rtype(t.address.name)): t.get("values") for t in some if t.address.kind == "record"
        }
        signings = [t for t in some if t.address.kind == dkim_signing.KIND.name]
        self.signers = [dkim_key.name(s, t.address.name) for t in signings for s in t.get("selectors")]

    def of(self, question: Question) -> Values | None:
        """What Git says; None where the zone is not ours or a value is only known after an apply."""
        found = self.values.get(question, ())
        known = self.ours and not any(isinstance(value, Computed) for value in found)
        return tuple(found) if known else None


def wanted(sets: Sets, answers: Answers) -> Iterator[Question]:
    """What is asked of public DNS; who must permit reports is known once the policy is."""
    domain = sets.domain
    yield from ((domain, "MX"), *((name, "TXT") for name in (domain, f"_dmarc.{domain}", *sets.signers)))
    yield from ((f"{name}.{domain}", "TXT") for name in ("_mta-sts", "_smtp._tls"))
    policy = (f"_dmarc.{domain}", "TXT")
    if any(_tagged(values, "v=stsv1") for values in _both(sets, answers, (f"_mta-sts.{domain}", "TXT"))):
        yield f"mta-sts.{domain}", POLICY
    said = sets.of(policy)
    public = answers[policy].values if policy in answers else ()
    yield from _permitting(_tagged(public if said is None else said, "v=dmarc1"), sets)


def _both(sets: Sets, answers: Answers, question: Question) -> tuple[Values, Values]:
    """What Git says, and what public DNS does; nothing where that is not known yet."""
    return sets.of(question) or (), answers[question].values if question in answers else ()


def _permitting(values: Values, sets: Sets) -> Iterator[Question]:
    for value in values:
        yield from ((name, "TXT") for name in permissions(f"_dmarc.{sets.domain}", value, sets.estate.domains))


def standing(sets: Sets, answers: Answers) -> Standing:
    """How a domain stands, as far as the answers go."""
    domain = sets.domain
    said = sets.of((domain, "MX"))
    parked = null_mx(said if said is not None else answers[domain, "MX"].values)
    items = [_item(sets, answers, *row) for row in (_PARKED if parked else _SENDING)]
    if not parked:
        items = [*items[:2], _dkim(sets, answers), *items[2:-1], _served(sets, answers, items[-1])]
    return Standing(domain, parked, tuple(items))


def _served(sets: Sets, answers: Answers, item: Item) -> Item:
    """The item of MTA-STS with what its host serves: where that is not what the record announces it has no points."""
    host, question = f"mta-sts.{sets.domain}", (f"_mta-sts.{sets.domain}", "TXT")
    if not item.points or (host, POLICY) not in answers:
        return item
    answer, announced = answers[host, POLICY], _both(sets, answers, question)[0 if sets.ours else 1]
    known = [sets.estate.policies[id_] for id_ in map(identifier, announced) if id_ in sets.estate.policies]
    where = f"https://{host}{WELL_KNOWN}"
    if answer.status == "failed":
        why = f": {answer.why}" if answer.why else ""
        return item._replace(verdict="unverified", points=0, next=f"see that {where} answers{why}")
    fault = answer.why or next((said for text in known if (said := difference(answer.values[0], text))), "")
    if fault:
        return item._replace(
            verdict="deviating", points=0, says=f"{host}: {visible(fault)[:200]}", next=f"serve the policy at {where}"
        )
    if "testing" in fields(answer.values[0]).get("mode", ()):
        return item._replace(
            verdict="deviating", points=item.of // 2, next="once its reports are clean, set MTA-STS to enforce"
        )
    return item


def _item(
    sets: Sets, answers: Answers, name: str, prefix: str, type_: str, known: str, of: int,
    judge: Callable[[Values, Sets, Answers], Judged],
) -> Item:  # fmt: skip
    question = (f"{prefix}{sets.domain}", type_)
    answer, said = answers[question], sets.of(question)
    mine = None if said is None else _tagged(said, known)
    public = _tagged(answer.values, known)
    shown = public if mine is None else mine
    points, step = judge(shown, sets, answers)
    says = "; ".join(shown) or "nothing"
    if step and (mine is not None or answer.status != "failed"):
        return Item(name, "deviating", points if mine is None or mine == public else 0, of, says, step)
    if answer.status == "failed":
        return Item(
            name, "unverified", 0, of, says, f"ask again where public DNS can be asked for {' '.join(question)}"
        )
    if mine is not None and mine != public:
        where = "; ".join(public) or "nothing"
        return Item(name, "deviating", 0, of, f"public DNS says {where}", f"have {' '.join(question)} say {says}")
    return Item(name, "conforming", points, of, says, "")


def _tagged(values: Sequence[str], known: str) -> Values:
    return tuple(sorted(value for value in values if not known or tag(value) == known))


def _dkim(sets: Sets, answers: Answers) -> Item:
    """Every key that signs has a record that is a key."""
    name, of = "DKIM", 20
    if not sets.signers:
        step = "add a `dkim` block, or write down who signs"
        return Item(name, "deviating" if sets.ours else "unverified", 0, of, "no key signs", step)
    asked = [(key, "TXT") for key in sets.signers]
    silent = [key for key, _ in asked if answers[key, "TXT"].status == "failed"]
    bare = [key for key, _ in asked if key not in silent and not any(map(_is_key, answers[key, "TXT"].values))]
    says = f"signed with {', '.join(sets.signers)}"
    if bare:
        return Item(name, "deviating", 0, of, f"{says}; no key at {', '.join(bare)}", f"publish TXT {bare[0]}")
    if silent:
        return Item(name, "unverified", 0, of, says, f"ask again where public DNS can be asked for {silent[0]} TXT")
    return Item(name, "conforming", of, of, says, "")


def _is_key(value: str) -> bool:
    """Whether a text is a DKIM key that is not revoked (RFC 6376, 3.6.1)."""
    try:
        return tag(value) == "v=dkim1" and bool(tags(value).get("p"))
    except ValueError:
        return False


# ---------------------------------------------------------------------- what is enough


def _mx(values: Values, _sets: Sets, _answers: Answers) -> Judged:
    return (10, "") if values else (0, "declare an MX")


def _no_mx(values: Values, _sets: Sets, _answers: Answers) -> Judged:
    return (20, "") if null_mx(values) else (0, "have the MX say `0 .`")


def _spf(values: Values, _sets: Sets, _answers: Answers) -> Judged:
    if len(values) != 1:
        return 0, "publish one SPF record" if not values else "take all SPF records but one away"
    last = next((term.sign for term in terms(values[0]) if term.name == "all"), "")
    redirects = any(term.name == "redirect" for term in terms(values[0]))
    return (20, "") if last in {"-", "~"} or (not last and redirects) else (5, "end the SPF record with `-all`")


def _spf_of_none(values: Values, _sets: Sets, _answers: Answers) -> Judged:
    return (30, "") if values and values[0].split()[1:] == ["-all"] else (0, "have SPF say `v=spf1 -all`")


def _dmarc(values: Values, sets: Sets, answers: Answers) -> Judged:
    points, step = _policy(values, {"reject": 30, "quarantine": 20, "none": 10}, reports=True)
    for name, type_ in _permitting(values, sets):
        if not any(tag(value) == "v=dmarc1" for value in answers[name, type_].values):
            return points // 2, f"have whoever gets the reports publish TXT `v=DMARC1` at {name}"
    return points, step


def _dmarc_of_none(values: Values, _sets: Sets, _answers: Answers) -> Judged:
    return _policy(values, {"reject": 50, "quarantine": 25, "none": 0}, reports=False)


def _policy(values: Values, points: Mapping[str, int], *, reports: bool) -> Judged:
    """A DMARC record's points: its policy, for subdomains too, in force for all mail, with somebody to report to."""
    if len(values) != 1:
        return 0, "publish one DMARC record"
    try:
        said = tags(values[0])
    except ValueError as error:
        return 0, f"mend the DMARC record: {error}"
    policy = min((said.get(key, "reject").lower() for key in ("p", "sp")), key=lambda p: points.get(p, 0))
    got = points.get(policy, 0)
    if reports and "rua" not in said:
        return got // 2, "name who gets DMARC reports (`rua`)"
    if policy != "reject":
        harder = "quarantine" if policy == "none" else "reject"
        return got, f"read the reports, then set DMARC to {harder}"
    if said.get("t") == "y" or said.get("pct", "100") != "100":
        return got // 2, "have DMARC hold for all mail (no `t=y`, no `pct`)"
    return got, ""


def _tls_rpt(values: Values, _sets: Sets, _answers: Answers) -> Judged:
    return (10, "") if values else (0, "ask for TLS reports: `tls_rpt: on`")


def _mta_sts(values: Values, _sets: Sets, _answers: Answers) -> Judged:
    return (10, "") if values else (0, "publish an MTA-STS policy, mode testing first")


_SENDING = (
    ("MX", "", "MX", "", 10, _mx),
    ("SPF", "", "TXT", "v=spf1", 20, _spf),
    ("DMARC", "_dmarc.", "TXT", "v=dmarc1", 30, _dmarc),
    ("TLS-RPT", "_smtp._tls.", "TXT", "v=tlsrptv1", 10, _tls_rpt),
    ("MTA-STS", "_mta-sts.", "TXT", "v=stsv1", 10, _mta_sts),
)
_PARKED = (
    ("MX", "", "MX", "", 20, _no_mx),
    ("SPF", "", "TXT", "v=spf1", 30, _spf_of_none),
    ("DMARC", "_dmarc.", "TXT", "v=dmarc1", 50, _dmarc_of_none),
)
