"""`make demo`: the example estate planned, applied, changed and reverted, and a mail that arrives by it.

Everything happens in `var/demo/estate`, a clone without a remote: no root, nothing outside the checkout. The mail part
needs Postfix and Dovecot, and root to start them; their own files lie in /tmp meanwhile, where their users may enter.
"""

from __future__ import annotations

import os
import shlex
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.servers import lacking
from tests.servers.mail import MailStack
from tests.servers.sink import letter

ROOT = Path(__file__).resolve().parents[1]
ESTATE = ROOT / "var" / "demo" / "estate"
DATABASE = ESTATE / "var" / "mail.sqlite"
BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
ENVIRONMENT = {
    **os.environ,
    "GIT_AUTHOR_NAME": "Anna Ops",
    "GIT_AUTHOR_EMAIL": "anna@agency.example",
    "GIT_COMMITTER_NAME": "Anna Ops",
    "GIT_COMMITTER_EMAIL": "anna@agency.example",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "commit.gpgsign",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_PAGER": "cat",
    "PYTHONPATH": str(ROOT),
}
TENANT, DOMAIN, LOGIN = "birchvale", "birchvale.example", "nora@birchvale.example"
FILE = f"tenants/{TENANT}/domains/{DOMAIN}.yaml"
NEW = f"press@{DOMAIN}"
WRITER = "editor@newspaper.example"


def main() -> int:
    """Runs the demo. Returns the exit code of the first command that did not do what it should, else 0."""
    shutil.rmtree(ESTATE.parent, ignore_errors=True)
    try:
        prepare()
        first_apply()
        change_and_revert()
        delivered = mail()
    except subprocess.CalledProcessError as error:
        print(f"\nThe demo stops here: the last command ended with exit code {error.returncode}.", file=sys.stderr)
        return error.returncode
    summary(delivered=delivered)
    return 0


# The parts


def prepare() -> None:
    """A clone of the last commit, without a remote, so that nothing can be pushed from it."""
    if not git_output("rev-parse", "--verify", "--quiet", "HEAD"):
        sys.exit("The demo shows what is committed, and this checkout has no commit yet: git add --all && git commit")
    title("An estate: your clients' mail and DNS as YAML files in Git")
    ESTATE.parent.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, ESTATE], check=True)
    subprocess.run(["git", "-C", ESTATE, "remote", "remove", "origin"], check=True)
    say(f"A throw-away clone of this repository, without a remote, in {ESTATE.relative_to(ROOT)}.")
    if git_output("status", "--porcelain", "--", "tenants", "domain-templates", "reconciler.yaml"):
        say("NOTE: the estate's files in your checkout have uncommitted changes; they are not in this demo.")
    run("git", "ls-files", "tenants/*/domains/*")
    run("cat", FILE)


def first_apply() -> None:
    """From nothing to everything, and then nothing more to do."""
    title("From nothing: check, plan, apply")
    run("reconciler", "validate")
    run("reconciler", "plan", "--tenant", TENANT, first=25, last=3)
    say("That was one client. All of them:")
    run("reconciler", "apply", "--yes", last=5)
    title("Once more: there is nothing left to do")
    run("reconciler", "plan", "--exit-code")


def change_and_revert() -> None:
    """A change is a commit; going back is a revert of it, with a plan of its own."""
    title("A change is a commit")
    path = ESTATE / FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("aliases:\n", "aliases:\n  press: [nora]\n", 1), encoding="utf-8")
    run("git", "diff", "--unified=1")
    run("git", "commit", "--quiet", "--all", "--message", f"{NEW} goes to Nora")
    run("reconciler", "plan")
    run("reconciler", "apply", "--yes", last=3)
    title("Going back is a revert, planned like any other change")
    run("git", "revert", "--no-edit", "HEAD", first=1)
    run("reconciler", "plan")
    title("Who did what, and how to undo it: from Git alone")
    run("reconciler", "history", NEW)


def mail() -> bool:
    """The proof, where servers can be started: a message to the new alias, delivered by way of the very database."""
    title("And the mail arrives")
    missing = lacking("/usr/lib/postfix/sbin/master", "dovecot", "/usr/lib/dovecot/imap", root=True)
    if missing:
        say(f"Not shown: {missing}.")
        return False
    with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        reachable = all(parent.stat().st_mode & 0o001 for parent in DATABASE.parents)
        database = DATABASE if reachable else Path(shutil.copy(DATABASE, folder))
        began = time.monotonic()
        with MailStack(database, folder / "servers") as stack:
            seconds = time.monotonic() - began
            say(f"Postfix and Dovecot, started on loopback in {seconds:.2f} s, read the database that apply wrote.")
            if not reachable:
                say(f"(A copy of it: the servers' users may not enter {ROOT}.)")
            deliver(stack)
            if reachable:
                refuse(stack)
    return True


def deliver(stack: MailStack) -> None:
    """One message to the new alias, and what lies in the mailbox then."""
    say("Nora sets her password, which is hers and never in Git. Then a journalist writes to the new address:")
    stack.set_password(LOGIN, "made up for the demo")
    stack.send(WRITER, NEW, letter("Interview on Thursday?", sender=WRITER, to=NEW))
    (received,) = stack.messages(LOGIN, "made up for the demo")
    print("\n  Nora's inbox, read over IMAP")
    for header in ("Return-Path", "Delivered-To", "From", "To", "Subject"):
        print(f"    {header + ':':<14} {received[header]}")


def refuse(stack: MailStack) -> None:
    """The revert is applied while the servers run: from that moment on the address is refused."""
    print()
    say("The revert from above is applied; no server is reloaded. The journalist writes again:")
    run("reconciler", "apply", "--yes", last=3)
    try:
        stack.send(WRITER, NEW)
    except smtplib.SMTPRecipientsRefused as refused:
        code, text = refused.recipients[NEW]
        print(f"\n  Postfix to the journalist's server\n    {code} {text.decode()}")


def summary(*, delivered: bool) -> None:
    """What a visitor should take home, and where to look further."""
    title("What you have seen")
    seen = [
        "Three clients' mail and DNS, described in Git, planned line by line, applied.",
        "A second plan with nothing to do: what is live is what Git says.",
        "A change as a commit and its way back as a revert, each planned before anything is touched.",
        "Who wrote, who applied, and how to undo: one command, from Git alone.",
        *(["Real mail that follows that database, from the moment of the apply."] if delivered else []),
    ]
    for number, text in enumerate(seen, 1):
        print(f"  {number}. {text}")
    print(f"\n  It is all still there: {DATABASE.relative_to(ROOT)}, zone files and Git history beside it.")
    print("  Your own servers read them as they are: docs/servers.md.\n")


# Telling it


def title(text: str) -> None:
    """A headline."""
    print(f"\n{BOLD}== {text}{PLAIN}\n", flush=True)


def say(text: str) -> None:
    """A remark of the demo's own."""
    print(f"{DIM}# {text}{PLAIN}", flush=True)


def run(*words: str, first: int = 0, last: int = 0) -> None:
    """One command at the prompt with its real output; of a long one the first and last lines, if they are given."""
    print(f"{BOLD}$ {shlex.join(words)}{PLAIN}", flush=True)
    # -P: the tool of this checkout, not the one the clone holds.
    command = [sys.executable, "-P", "-m", *words] if words[0] == "reconciler" else list(words)
    output = subprocess.PIPE if first or last else None
    done = subprocess.run(command, cwd=ESTATE, env=ENVIRONMENT, stdout=output, text=True, check=False)
    if output is not None:
        lines = done.stdout.strip("\n").splitlines()
        left_out = len(lines) - first - last
        if left_out > 0:
            lines[first : len(lines) - last] = [f"{DIM}… {left_out} lines not shown …{PLAIN}"]
        print("\n".join(lines))
    print(flush=True)
    done.check_returncode()


def git_output(*words: str) -> str:
    """What Git says about this checkout; nothing when it refuses."""
    return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
