"""Git hosts, one file per kind: where a plan is shown, and what people there said of it.

A host is told what to show and asked what was reviewed; it decides nothing. What it answers is not trusted: a reviewed
plan counts by the digest that our own job left there, an approval by who gave it and for which commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Topic = Literal["plan", "apply"]
TAKES, CHANGES, NOTHING, REFUSED = "plan: takes away", "plan: changes", "plan: nothing", "plan: refused"
LABELS = {TAKES: "b60205", CHANGES: "1d76db", NOTHING: "c2e0c6", REFUSED: "d93f0b"}  # {label: colour}


class Pull(NamedTuple):
    """A pull request: commits are full ids; `foreign` comes from a fork, and gets no secret and no say."""

    number: int
    head: str
    base: str
    author: str
    foreign: bool = False


class Verdict(NamedTuple):
    """What a plan came to, for the check at its commit. `digest` is what an apply later asks for."""

    good: bool
    title: str
    text: str
    digest: str


class Reviewed(NamedTuple):
    """A merged pull request: what was shown of it, and who approved that.

    `commit` is the one it came to on the main branch. `authors` are the accounts that wrote it, `approvals` those that
    approved `head` itself; None where the host cannot tell. `digest` is empty where our job said nothing of `head`.
    """

    pull: int
    commit: str
    base: str
    head: str
    authors: frozenset[str]
    approvals: frozenset[str] | None
    digest: str
    plan: bytes | None


class Forge(Protocol):
    """One Git host. Each method raises ForgeError where the host does not do it."""

    limit: int  # characters of a comment, in UTF-16 code units
    clocked: bool  # whether a clock began this run, and no push or person
    annotates: bool  # whether it reads workflow commands in the log, such as `::error::`
    pull: Pull | None  # which this run is about

    @property
    def access(self) -> Mapping[str, str]:
        """Variables with which Git reaches the repository there."""

    def say(self, pull: int, topic: Topic, text: str) -> None:
        """Our one comment on a topic, made or put in place of the one that is there."""

    def judge(self, head: str, verdict: Verdict) -> None:
        """The check at a commit."""

    def label(self, pull: int, name: str) -> None:
        """Of `LABELS` this one and no other."""

    def reviewed(self, commits: Sequence[str]) -> list[Reviewed]:
        """The pull requests that brought these commits of the main branch, each once."""

    def tell(self, commit: str, *, good: bool, text: str) -> None:
        """What became of a commit of the main branch."""

    def summary(self, text: str) -> None:
        """Markdown beside the log of this run."""

    def issues(self) -> Mapping[str, str]:
        """{tenant: text} of the open issues about drift."""

    def report(self, tenant: str, title: str, text: str) -> None:
        """The one issue about a tenant's drift, opened, opened again or put in place."""

    def close(self, tenant: str, text: str) -> None:
        """The issue about a tenant's drift is over; `text` says why."""

    def compare(self, branch: str) -> str:
        """The page where a person makes a pull request of a branch; empty where nobody knows."""


def here(environment: Mapping[str, str], folder: Path) -> Forge:
    """The host that runs us: GitHub where its variables say so, else files below a folder. Raises ForgeError."""
    if environment.get("GITHUB_ACTIONS") == "true":
        from reconciler.forges.github import GitHub

        return GitHub(environment)
    from reconciler.forges.files import Files

    return Files(folder)
