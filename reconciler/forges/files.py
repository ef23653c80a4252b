"""Any other CI: what a host would show is left as files, and what was reviewed is found as files.

    comment-plan.md  comment-apply.md  check.json  label.txt  summary.md  status.json  issues/<tenant>.md
    reviewed/*.json                    plans that the CI puts there because they were reviewed

Who approved what only the CI knows: it puts a plan into `reviewed/` when its own rules for that are met.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reconciler.errors import ForgeError
from reconciler.forges import Pull, Reviewed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from reconciler.forges import Topic, Verdict


class Files:
    """A host made of files below `folder`. Raises ForgeError where they cannot be read or written."""

    limit = 1_000_000  # what GitLab takes, the longest of those known
    clocked = False
    annotates = False
    pull: Pull | None = Pull(0, "", "", "")  # the CI knows which
    access: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def say(self, pull: int, topic: Topic, text: str) -> None:  # noqa: ARG002  (as above)
        self._write(f"comment-{topic}.md", text)

    def judge(self, head: str, verdict: Verdict) -> None:
        self._write("check.json", json.dumps({"commit": head, **verdict._asdict()}, indent=2))

    def label(self, pull: int, name: str) -> None:  # noqa: ARG002  (as above)
        self._write("label.txt", name)

    def reviewed(self, commits: Sequence[str]) -> list[Reviewed]:  # noqa: ARG002  (the CI chose them)
        found = sorted(self._folder.glob("reviewed/*.json"))
        try:
            plans = [path.read_bytes() for path in found]
        except OSError as error:
            raise ForgeError(f"{error.filename}: {error.strerror}") from None
        return [Reviewed(0, "", "", "", frozenset(), None, "", plan) for plan in plans]

    def tell(self, commit: str, *, good: bool, text: str) -> None:
        self._write("status.json", json.dumps({"commit": commit, "good": good, "text": text}, indent=2))

    def summary(self, text: str) -> None:
        self._write("summary.md", text)

    def issues(self) -> Mapping[str, str]:
        return {path.stem: path.read_text("utf-8") for path in sorted(self._folder.glob("issues/*.md"))}

    def report(self, tenant: str, title: str, text: str) -> None:
        self._write(f"issues/{tenant}.md", f"# {title}\n\n{text}")

    def close(self, tenant: str, text: str) -> None:  # noqa: ARG002  (the file is gone, and so is why)
        (self._folder / "issues" / f"{tenant}.md").unlink(missing_ok=True)

    def compare(self, branch: str) -> str:  # noqa: ARG002
        return ""  # only the host knows

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        except OSError as error:
            raise ForgeError(f"{path}: {error.strerror}") from None
