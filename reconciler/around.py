"""What Git is run with: the estate's own repository, whatever a hook of another one has set."""

from __future__ import annotations

import os
from pathlib import Path

_NAMES = ("DIR", "WORK_TREE", "INDEX_FILE", "COMMON_DIR", "NAMESPACE", "PREFIX")
_APART = frozenset({"GIT_OBJECT_DIRECTORY", "GIT_QUARANTINE_PATH"})
_ELSEWHERE = _APART | {f"GIT_{name}" for name in _NAMES}
# A replacement has Git read another object in the place of a commit, and whoever may push can push one.
_OURS = {
    "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C.UTF-8", "LANGUAGE": "",
}  # fmt: skip


def environment(root: Path, *, incoming: bool = True) -> dict[str, str]:
    """Ours, without what would turn Git to another repository than the one at `root`.

    `incoming`: what a push brings and its hook has not agreed to yet is seen, where it is pushed to this very
    repository. Git lets nobody move a ref meanwhile who sees it.
    """
    kept = _APART if incoming and _pushed_to(root) else frozenset()
    return {name: value for name, value in os.environ.items() if name not in _ELSEWHERE - kept} | _OURS


def _pushed_to(root: Path) -> bool:
    apart = os.environ.get("GIT_QUARANTINE_PATH", "")
    return bool(apart) and Path(apart).resolve().parent == (root / "objects").resolve()
