"""The whole way of working, in one story: pull requests, merges, drift, a freeze, a stale plan, reverts; real mail."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.estates import BOXES, mail
from tests.forge.agency import agency_in
from tests.forge.github import BOT
from tests.servers.mail import MailStack
from tests.test_mail import needs_mail, open_folder

if TYPE_CHECKING:
    from tests.forge.agency import Agency

# Kim stands away from Tom, whose line changes meanwhile: else Git could not revert the one without the other.
KIM, LEE = {"kim": "{owner: jane}", **BOXES}, {"lee": "{owner: jane}", "kim": "{owner: jane}", **BOXES}
INFO = "aliases:\n  info: [jane]\n"
AGENCY_FILE = "reconciler.yaml"


def aliases(*names: str) -> str:
    return INFO + "".join(f"  {name}: [tom]\n" for name in names)


@needs_mail
def test_the_whole_story() -> None:
    """From the first pull request to the revert of a revert."""
    with open_folder() as folder:
        (folder / "live").mkdir()
        with MailStack(folder / "live" / "mail.sqlite", folder / "mail") as stack, agency_in(folder) as agency:
            kim_came = _a_mailbox_comes(agency, stack)
            _merged_while_another_one_is_applied(agency)
            _drift_is_taken_over(agency)
            _merged_under_a_freeze(agency)
            _stale(agency)
            _there_and_back(agency, stack, kim_came)


def _a_mailbox_comes(agency: Agency, stack: MailStack) -> str:
    """A plan as a comment, put in place by the next push, applied on merge, and mail arrives. Gives the merge."""
    agency.branch("kim", mail(LEE, INFO))
    pull = agency.asked("kim", "A mailbox for Kim and Lee")
    agency.push("kim", mail(KIM, INFO))
    agency.github.push(pull)
    assert agency.actions.pull(pull, "synchronize")["plan"].result == "success"
    (plan,) = agency.said(pull.number, "plan")
    assert "kim@northwind.example" in plan
    assert "lee@northwind.example" not in plan
    done = agency.approved(pull)
    assert done.result == "success", done.log
    assert "## Applied: 1 change" in agency.said(pull.number, "apply")[0]
    assert [label["name"] for label in agency.github.issues[pull.number]["labels"]] == ["plan: changes"]
    assert {comment["user"]["login"] for comment in agency.github.comments[pull.number]} == {BOT}
    assert [status["state"] for status in agency.github.statuses[agency.github.main]] == ["success"]
    stack.set_password("kim@northwind.example", "open sesame")
    stack.send("someone@elsewhere.test", "kim@northwind.example")
    stack.settle()
    assert len(stack.messages("kim@northwind.example", "open sesame")) == 1
    return agency.github.main


def _merged_while_another_one_is_applied(agency: Agency) -> None:
    """Whoever comes second waits or leaves it to the next run; in the end both are made."""
    agency.branch("one", mail(KIM, aliases("one")))
    first = agency.asked("one", "One")
    applying = threading.Thread(target=agency.approved, args=[first])
    applying.start()
    while agency.github.main == first.base:
        time.sleep(0.01)
    agency.branch("two", mail(KIM, aliases("one", "two")))
    agency.approved(agency.asked("two", "Two"))
    applying.join()
    assert agency.hourly().result == "success"
    assert _aliases(agency) >= {"one", "two"}


def _drift_is_taken_over(agency: Agency) -> None:
    """What somebody changed by hand is an issue, and a branch; merged, the issue is closed."""
    agency.sql(f"UPDATE mailbox SET quota = {3 * 2**30} WHERE username = 'tom@northwind.example'")
    assert agency.daily().result == "success"
    issue = next(issue for issue in agency.github.issues.values() if issue["title"] == "Drift: northwind")
    assert "reconciler/drift/northwind" in issue["body"]
    pull = agency.asked("reconciler/drift/northwind", "Take it over")
    assert "## Plan: nothing to change" in agency.said(pull.number, "plan")[0]
    assert agency.approved(pull).result == "success"
    assert agency.daily().result == "success"
    assert issue["state"] == "closed"


def _merged_under_a_freeze(agency: Agency) -> None:
    """Two merges are held back, and made together when the freeze is over: the plans of both were reviewed."""
    text = (agency.estate.root / AGENCY_FILE).read_text()
    days = [(datetime.now(UTC) + timedelta(days=n)).strftime("%a").lower() for n in (-1, 2)]
    frozen = f"{text}freeze: [{{kinds: [alias], from: '{days[0]} 00:00', to: '{days[1]} 00:00'}}]\n"
    agency.branch("freeze", {AGENCY_FILE: frozen})
    assert agency.approved(agency.asked("freeze", "Freeze")).result == "success"
    for names in (("one", "two", "three"), ("one", "two", "three", "four")):
        agency.branch(names[-1], _with(agency, *names))
        assert agency.approved(agency.asked(names[-1], names[-1])).result == "success"
    assert not _aliases(agency) & {"three", "four"}
    agency.branch("thaw", {AGENCY_FILE: text})
    assert agency.approved(agency.asked("thaw", "Thaw")).result == "success"
    assert _aliases(agency) >= {"three", "four"}


def _stale(agency: Agency) -> None:
    """Live moved between plan and merge: nothing is done, the comment says how to go on, and so it goes on."""
    agency.branch("stale", _with(agency, "one", "two", "three"))
    pull = agency.asked("stale", "Four goes")
    agency.sql("UPDATE alias SET goto = 'jane@northwind.example' WHERE address = 'four@northwind.example'")
    done = agency.approved(pull)
    assert done.result == "failure"
    assert "four" in _aliases(agency)
    (said,) = agency.said(pull.number, "apply")
    digest = said.partition("reconciler apply --digest ")[2].partition("`")[0]
    assert agency.by_hand(digest).result == "success"
    assert "four" not in _aliases(agency)


def _there_and_back(agency: Agency, stack: MailStack, merge: str) -> None:
    """The first merge is reverted: nobody logs in. That is reverted: mail and password are as they were."""
    for commit, may in ((merge, 0), ("HEAD", 1)):
        agency.main()
        agency.estate.git("revert", "--no-edit", "--mainline", "1", commit)
        agency.push(f"revert-{may}", {})
        done = agency.approved(agency.asked(f"revert-{may}", "Revert"))
        assert done.result == "success", done.log
        assert agency.box("kim")[0][0] == may
        labels = agency.github.issues[max(agency.github.issues)]["labels"]
        assert labels[0]["name"] == ("plan: changes" if may else "plan: takes away")
    assert len(stack.messages("kim@northwind.example", "open sesame")) == 1


def _with(agency: Agency, *names: str) -> dict[str, str | bytes | None]:
    """Northwind's file as it is on main, with these aliases."""
    agency.main()
    path = "tenants/northwind/domains/northwind.example.yaml"
    before, _, _ = (agency.estate.root / path).read_text().partition("aliases:\n")
    return {path: before + aliases(*names)}


def _aliases(agency: Agency) -> set[str]:
    rows = agency.sql("SELECT address FROM alias WHERE domain = 'northwind.example' AND address <> goto")
    return {address.partition("@")[0] for (address,) in rows}
