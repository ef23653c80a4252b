"""`make demo`: the example estate planned, applied, changed and reverted, and a mail that arrives by it.

Everything happens in `var/demo/estate`, a clone without a remote: no root, nothing outside the checkout. The mail part
needs Postfix and Dovecot, and root to start them; their own folder is in /tmp, where their users may enter.
"""

from __future__ import annotations

import os
import shlex
import shutil
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
BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
ANNA = {
    "GIT_AUTHOR_NAME": "Anna Ops",
    "GIT_AUTHOR_EMAIL": "anna@agency.example",
    "GIT_COMMITTER_NAME": "Anna Ops",
    "GIT_COMMITTER_EMAIL": "anna@agency.example",
}
TENANT, DOMAIN, LOGIN = "birchvale", "birchvale.example", "nora"
FILE = f"tenants/{TENANT}/domains/{DOMAIN}.yaml"


def main() -> int:
    """Runs the demo; the exit code of the first command that did not do what it should, else 0."""
    shutil.rmtree(ESTATE.parent, ignore_errors=True)
    try:
        prepare()
        first_apply()
        change_and_revert()
        mail()
        summary()
    except subprocess.CalledProcessError as error:
        print(f"\nThe demo stops here: the last command ended with exit code {error.returncode}.", file=sys.stderr)
        return error.returncode
    return 0


# The parts


def prepare() -> None:
    """A clone of the last commit, without a remote, so that nothing can be pushed from it."""
    if git_output(ROOT, "rev-parse", "--verify", "--quiet", "HEAD") == "":
        sys.exit("The demo plans what is committed, and this checkout has no commit yet: git add --all && git commit")
    title("An estate: your clients' mail and DNS as YAML files in Git")
    if git_output(ROOT, "status", "--porcelain", "--", "tenants", "domain-templates", "schemas", "reconciler.yaml"):
        say("Note: uncommitted changes of the estate's files are not in the demo; it works on the last commit.")
    ESTATE.parent.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, ESTATE], check=True)
    subprocess.run(["git", "-C", ESTATE, "remote", "remove", "origin"], check=True)
    say(f"A throw-away clone of this repository, without a remote: {ESTATE.relative_to(ROOT)}")
    run(
        "ls",
        "tenants",
        *(f"tenants/{name}/domains" for name in sorted(path.name for path in (ESTATE / "tenants").iterdir())),
    )
    run("cat", FILE)


def first_apply() -> None:
    """From nothing to everything, and then nothing more to do."""
    title("From nothing: check, plan, apply")
    run("reconciler", "validate")
    run("reconciler", "plan", "--tenant", TENANT)
    say("The whole estate, three clients:")
    run("reconciler", "apply", "--yes", show=12)
    title("Once more: there is nothing left to do")
    run("reconciler", "plan", "--exit-code")


def change_and_revert() -> None:
    """A change is a commit; going back is a revert of it, with a plan of its own."""
    title("A change is a commit")
    path = ESTATE / FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("aliases:\n", "aliases:\n  press: [nora]\n", 1), encoding="utf-8")
    run("git", "diff", "--unified=1")
    run("git", "commit", "--quiet", "--all", "--message", "Birchvale wants press@")
    run("reconciler", "plan")
    run("reconciler", "apply", "--yes")
    title("Going back is a revert, planned like any change")
    run("git", "revert", "--no-edit", "HEAD", show=1)
    run("reconciler", "plan")
    say("Not applied: press@ is used in a moment.")


def mail() -> None:
    """The proof: a message to an alias, delivered by Postfix and Dovecot that read the very database."""
    title("And mail arrives")
    missing = lacking("/usr/lib/postfix/sbin/master", "dovecot", "/usr/lib/dovecot/imap", root=True)
    if missing:
        say(f"Skipped: {missing}.")
        return
    with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        deliver(database(folder), folder / "servers")


def database(folder: Path) -> Path:
    """The demo's own database where the servers' users can reach it, else a copy."""
    original = ESTATE / "var" / "mail.sqlite"
    if all(parent.stat().st_mode & 0o001 for parent in original.parents):
        return original
    say(f"(on a copy of the database: the servers' users may not enter {ROOT})")
    return Path(shutil.copy(original, folder))


def deliver(database: Path, folder: Path) -> None:
    """Starts the servers, sends one message to press@, and shows what lies in the mailbox."""
    began = time.monotonic()
    with MailStack(database, folder) as stack:
        seconds = time.monotonic() - began
        say(f"Postfix and Dovecot read {database.name}, started privately on loopback in {seconds:.1f} s.")
        say(f"Nora sets a password (the owner's act; it is never in Git). Someone writes to press@{DOMAIN}:")
        stack.set_password(f"{LOGIN}@{DOMAIN}", "a password made up for the demo")
        message = letter("Interview on Thursday?", sender="editor@newspaper.example", to=f"press@{DOMAIN}")
        stack.send("editor@newspaper.example", f"press@{DOMAIN}", message)
        (received,) = stack.messages(f"{LOGIN}@{DOMAIN}", "a password made up for the demo")
    print(f"\n{DIM}  Nora's inbox, over IMAP:{PLAIN}")
    for header in ("Return-Path", "Delivered-To", "From", "To", "Subject"):
        print(f"    {header + ':':<14} {received[header]}")


def summary() -> None:
    title("What you have seen")
    print(f"""  1. Three clients' mail and DNS, described in Git, planned line by line and applied.
  2. A second plan with nothing to do: live is what Git says.
  3. A change as a commit, and its way back as a revert, each with a plan before anything is touched.
  4. The result is a plain mail database and zone files that your own servers read (docs/servers.md).

  It is all still there: cd {ESTATE.relative_to(ROOT)}
""")


# Telling it


def title(text: str) -> None:
    print(f"\n{BOLD}== {text}{PLAIN}\n", flush=True)


def say(text: str) -> None:
    print(f"{DIM}  {text}{PLAIN}", flush=True)


def run(*words: str, show: int | None = None) -> None:
    """One command at the prompt with its real output, of a long one the last `show` lines."""
    print(f"\n{BOLD}$ {shlex.join(words)}{PLAIN}", flush=True)
    command = [sys.executable, "-m", "reconciler", *words[1:]] if words[0] == "reconciler" else list(words)
    environment = {**os.environ, **ANNA, "PYTHONPATH": str(ROOT), "GIT_PAGER": "cat"}
    output = None if show is None else subprocess.PIPE
    done = subprocess.run(command, cwd=ESTATE, env=environment, stdout=output, text=True, check=False)
    if show is not None:
        lines = done.stdout.splitlines()
        if len(lines) > show:
            print(f"{DIM}… {len(lines) - show} lines …{PLAIN}")
        print("\n".join(lines[-show:]), flush=True)
    done.check_returncode()


def git_output(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
