"""A ledger that counts only where one of the allowed signers has signed for it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.estates import AGENCY, Estate, codes, contoso, mail, make, northwind
from tests.servers import need
from tests.test_due import changes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = need("ssh-keygen")
REF, CONTOSO = "refs/reconciler/tenants/northwind", "refs/reconciler/tenants/contoso"
SIGNED = {"reconciler.yaml": f"{AGENCY}ledger: {{remote: null, allowed_signers: signers}}\n"}


def key(folder: Path, name: str) -> str:
    """An SSH key made now: the line that an allowed-signers file has of it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name], cwd=folder, check=True)
    return f'{name}@agency.example namespaces="git" {(folder / f"{name}.pub").read_text()}'


def use(estate: Estate, name: str) -> None:
    estate.git("config", "user.signingkey", str(estate.root.parent / name))


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    """Two tenants, applied by Anna, whose key is the only one that counts."""
    found = make(tmp_path / "estate", northwind(), contoso(), {**SIGNED, "signers": key(tmp_path, "anna")})
    key(tmp_path, "mallory")
    use(found, "anna")
    return found.applied({})


def verdicts(estate: Estate) -> set[str]:
    """What Git says of the signatures of every commit of the journal."""
    options = ("-c", "gpg.ssh.allowedSignersFile=signers")
    return set(estate.git(*options, "log", "--format=%G?", REF, CONTOSO).split())


def forged(estate: Estate, *options: str, lines: list[str] | None = None) -> None:
    """On top of the ledger that is another one, which says that nothing is ours, or what `lines` say."""
    lines = lines or ledger(estate)[:1]
    blob = estate._object("hash-object", "-w", "--stdin", text="".join(f"{line}\n" for line in lines).encode())
    tree = estate._object("mktree", text=f"100644 blob {blob}\tledger.jsonl\n".encode())
    config = ("-c", "gpg.format=ssh")
    made = estate.git(*config, "commit-tree", *options, tree, "-p", REF, "-m", "applied")
    estate.git("update-ref", REF, made)


def ledger(estate: Estate, ref: str = REF) -> list[str]:
    return estate.git("show", f"{ref}:ledger.jsonl").splitlines()


def altered(estate: Estate, old: bytes, new: bytes) -> None:
    """The last commit with its signature and something else in it."""
    text = f"{estate.git('cat-file', 'commit', REF)}\n".encode()
    assert old in text
    made = estate._object("hash-object", "-t", "commit", "-w", "--stdin", text=text.replace(old, new))
    estate.git("update-ref", REF, made)


def test_every_commit_is_signed_and_believed(estate: Estate) -> None:
    """Intents and outcomes alike; the next plan has nothing to do, and the next apply goes on from there."""
    assert verdicts(estate) == {"G"}
    assert [(changes(t), codes(t["findings"])) for t in estate.plan()["tenants"]] == [([], set())] * 2
    estate.applied(mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom}"}, "aliases:\n  info: [jane]\n"))
    assert verdicts(estate) == {"G"}


def stopped(estate: Estate, code: str = "PL309") -> None:
    """Northwind alone: nothing of its ledger is believed, nothing is written, and Contoso goes on."""
    world = estate.world()
    plan = {found["tenant"]: found for found in estate.plan()["tenants"]}
    assert (changes(plan["northwind"]), codes(plan["northwind"]["findings"])) == ([], {code})
    assert (plan["contoso"]["adopted"], codes(plan["contoso"]["findings"])) == ([], set())
    done = estate.apply()
    assert done.code == 1
    assert {found["tenant"]: found["result"] for found in done.json["tenants"]} == {
        "northwind": "refused", "contoso": "nothing",
    }  # fmt: skip
    assert estate.world() == world


@pytest.mark.parametrize("by", ["nobody", "mallory"])
def test_what_somebody_else_wrote_stops_that_tenant(estate: Estate, by: str) -> None:
    """Unsigned, or signed by a stranger."""
    use(estate, by)
    forged(estate, *([] if by == "nobody" else ["-S"]))
    use(estate, "anna")
    stopped(estate)


def test_many_are_looked_at_in_several_processes(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same verdicts."""
    for name in ("PARALLEL_TENANTS", "CHUNK"):
        monkeypatch.setattr(f"reconciler.session.{name}", 1)
    forged(estate)
    stopped(estate)


def test_what_was_altered_stops_that_tenant(estate: Estate) -> None:
    """Anna's signature over something else than what stands there now."""
    altered(estate, b"run ", b"RUN ")
    stopped(estate)


def test_another_tenants_signed_ledger_stops_that_tenant(estate: Estate) -> None:
    """The signature is good, and the ledger says whose it is."""
    estate.git("update-ref", REF, CONTOSO)
    stopped(estate, "PL301")


def test_a_forged_ledger_gives_nothing_to_others(estate: Estate) -> None:
    """It says that it has what is Contoso's, as if that had moved: not even looked at."""
    header, *lines = ledger(estate, CONTOSO)
    forged(estate, lines=[header.replace('"contoso"', '"northwind"', 1), *lines])
    stopped(estate)


def test_a_tip_that_is_no_commit_stops_that_tenant(estate: Estate) -> None:
    """A ref may lead to anything."""
    estate.git("update-ref", REF, estate._object("hash-object", "-w", "--stdin", text=b"nothing"))
    stopped(estate)


def test_a_signed_commit_of_the_estate_is_no_ledger(estate: Estate) -> None:
    """Whoever gets a file of that name merged could else show what Anna signed as her word on what was applied."""
    files = {"ledger.jsonl": f"{ledger(estate)[0]}\n"}
    estate.write(files)
    estate.git("-c", "gpg.format=ssh", "commit", "--quiet", "--amend", "-S", "-m", "merged")
    estate.git("update-ref", REF, "HEAD")
    stopped(estate)


def test_what_is_no_ssh_signature_runs_no_other_program(estate: Estate) -> None:
    """GnuPG is never given what a stranger pushed; its word would not count."""
    gpg, ran = estate.root.parent / "gpg", estate.root.parent / "ran"
    gpg.write_text(f"#!/bin/sh\ntouch {ran}\necho '[GNUPG:] GOODSIG 1 anna'\n")
    gpg.chmod(0o755)
    estate.git("config", "gpg.program", str(gpg))
    altered(estate, b"SSH SIGNATURE", b"PGP SIGNATURE")
    assert "PGP SIGNATURE" in estate.git("cat-file", "commit", REF)
    stopped(estate)
    assert not ran.exists()


def test_the_users_log_may_show_signatures(estate: Estate) -> None:
    """`log.showSignature` prints lines of its own."""
    estate.git("config", "log.showSignature", "true")
    assert [codes(found["findings"]) for found in estate.plan()["tenants"]] == [set(), set()]


@pytest.mark.parametrize(("until", "found"), [("20990101", set()), ("20200101", {"PL309"})])
def test_who_leaves_has_signed_until_then(estate: Estate, until: str, found: set[str]) -> None:
    """`valid-before` instead of a line taken out: what was signed before that day still counts."""
    line = (estate.root / "signers").read_text()
    estate.write({"signers": line.replace("namespaces", f'valid-before="{until}",namespaces')})
    assert codes(estate.one()["findings"]) == found


def test_the_file_is_that_of_the_commit(estate: Estate) -> None:
    """A branch that lets Mallory sign changes what is planned for that branch alone."""
    use(estate, "mallory")
    forged(estate, "-S")
    use(estate, "anna")
    estate.git("switch", "--quiet", "--create", "mallory")
    public = (estate.root.parent / "mallory.pub").read_text()
    estate.write({"signers": f'mallory@agency.example namespaces="git" {public}'})
    assert "PL309" not in codes(estate.one()["findings"])
    assert codes(estate.one("--rev", "main")["findings"]) == {"PL309"}
    estate.git("switch", "--quiet", "main")
    stopped(estate)


def test_nobody_signs_on_top_of_a_forged_lock(estate: Estate) -> None:
    """`unlock` would make Anna vouch for what it breaks."""
    altered(estate, b"run ", b"RUN ")
    tip = estate.git("rev-parse", REF)
    done = estate.run("unlock", "northwind", "0123456789ab")
    assert (done.code, "nobody who may has signed" in done.err) == (1, True)
    assert estate.git("rev-parse", REF) == tip


def test_the_journal_is_not_told_by_strangers(estate: Estate) -> None:
    """`log` and `history` of a forged ledger are errors, not tales; of the others they tell before they say so."""
    forged(estate)
    for command in (["log", "--tenant=northwind"], ["history", "jane@northwind.example"]):
        run = estate.run(*command)
        assert (run.code, run.out, "northwind" in run.err) == (1, "", True)
    for command in (["log"], ["history", "jane@contoso.example"]):
        run = estate.run(*command)
        assert (run.code, "northwind" in run.err) == (1, True)
        assert "contoso" in run.out
        assert "northwind" not in run.out


def test_a_key_inside_the_estate_is_found(estate: Estate) -> None:
    """`user.signingkey` may be a path from there, as Git reads it."""
    estate.git("config", "user.signingkey", "../anna")
    estate.applied(mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom}"}, "aliases:\n  info: [jane]\n"))
    assert verdicts(estate) == {"G"}


@pytest.mark.parametrize("name", ["", "mallory", "not there"])
def test_without_a_key_that_counts_nothing_is_written(estate: Estate, name: str) -> None:
    """No key, a stranger's or a lost one: the apply ends before its first write and says what to configure."""
    estate.git("config", "--unset", "user.signingkey")
    if name:
        use(estate, name)
    estate.write(mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom}"}, "aliases:\n  info: [jane]\n"))
    world = estate.world()
    done = estate.apply()
    assert (done.code, "user.signingkey" in done.out) == (1, True)
    assert estate.world() == world


def test_an_older_ledger_is_signed_by_hand(tmp_path: Path) -> None:
    """As the reference says it: what was written before is refused until somebody signs for it."""
    estate = make(tmp_path / "estate", northwind()).applied({})
    estate.write({**SIGNED, "signers": key(tmp_path, "anna")})
    use(estate, "anna")
    assert codes(estate.one()["findings"]) == {"PL309"}
    script = (
        "git for-each-ref --format='%(refname) %(objectname)' refs/reconciler/tenants/ | while read ref tip; do\n"
        '  signed=$(git -c gpg.format=ssh commit-tree -S "$tip^{tree}" -p "$tip" -m signed)\n'
        '  git update-ref "$ref" "$signed" "$tip"\ndone'
    )
    subprocess.run(["bash", "-euc", script], cwd=estate.root, check=True)
    assert (changes(estate.one()), codes(estate.one()["findings"])) == ([], set())


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_file_that_is_not_there_stops_everything(estate: Estate, command: str) -> None:
    """A wrong path must not mean that anybody may sign; the check of the pull request says it already."""
    estate.write({"signers": None})
    run = estate.run(command, "--format", "json")
    assert (run.code, run.json["findings"][0]["code"]) == (1, "IN237")


@pytest.mark.parametrize("link", [False, True])
def test_a_file_elsewhere_is_none(estate: Estate, link: bool) -> None:
    """Of the working tree too: a path out of the estate, or a link that leads there."""
    outside = estate.root.parent / "outside"
    (estate.root / "signers").rename(outside)
    if link:
        (estate.root / "signers").symlink_to(outside)
    else:
        estate.save({"reconciler.yaml": SIGNED["reconciler.yaml"].replace(": signers", ": ../outside")})
    run = estate.run("plan", "--worktree", "--format", "json")
    assert (run.code, run.json["findings"][0]["code"]) == (1, "IN237")
