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
REF = "refs/reconciler/tenants/northwind"
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
    return set(estate.git(*options, "log", "--format=%G?", REF, REF.replace("northwind", "contoso")).split())


def forged(estate: Estate, *options: str) -> None:
    """A ledger that says nothing is ours, on top of the one that is."""
    text = estate.git("show", f"{REF}:ledger.jsonl").splitlines()[0] + "\n"
    blob = estate._object("hash-object", "-w", "--stdin", text=text.encode())
    tree = estate._object("mktree", text=f"100644 blob {blob}\tledger.jsonl\n".encode())
    config = ("-c", "gpg.format=ssh")
    made = estate.git(*config, "commit-tree", *options, tree, "-p", REF, "-m", "applied")
    estate.git("update-ref", REF, made)


def test_every_commit_is_signed_and_believed(estate: Estate) -> None:
    """Intents and outcomes alike; the next plan has nothing to do, and the next apply goes on from there."""
    assert verdicts(estate) == {"G"}
    assert [(changes(t), codes(t["findings"])) for t in estate.plan()["tenants"]] == [([], set())] * 2
    estate.applied(mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom}"}, "aliases:\n  info: [jane]\n"))
    assert verdicts(estate) == {"G"}


@pytest.mark.parametrize("by", ["nobody", "mallory", "replayed"])
def test_what_somebody_else_wrote_stops_that_tenant(estate: Estate, by: str) -> None:
    """Unsigned, signed by a stranger, or another tenant's own signed ledger: refused, and the others go on."""
    if by == "nobody":
        forged(estate)
    elif by == "mallory":
        use(estate, "mallory")
        forged(estate, "-S")
        use(estate, "anna")
    else:
        estate.git("update-ref", REF, REF.replace("northwind", "contoso"))
    world = estate.world()
    plan = {found["tenant"]: found for found in estate.plan()["tenants"]}
    assert codes(plan["northwind"]["findings"]) & {"PL301", "PL309"}
    assert codes(plan["contoso"]["findings"]) == set()
    done = {found["tenant"]: found["result"] for found in estate.apply().json["tenants"]}
    assert done == {"northwind": "refused", "contoso": "nothing"}
    assert estate.world() == world


def test_the_journal_is_not_told_by_strangers(estate: Estate) -> None:
    """`log` and `history` of a forged ledger are errors, not tales."""
    forged(estate)
    for command in (["log"], ["history", "jane@northwind.example"]):
        run = estate.run(*command)
        assert (run.code, "northwind" in run.err) == (1, True)


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


def test_a_file_that_is_not_there_stops_everything(estate: Estate) -> None:
    """A wrong path must not mean that anybody may sign."""
    estate.write({"signers": None})
    run = estate.run("plan", "--format", "json")
    assert (run.code, run.json["findings"][0]["code"]) == (1, "IN237")
