"""The wheel is complete: in a bare environment, far from any checkout, it makes an estate that it finds valid."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*command, cwd):
    """Run to the end; what the program said belongs into the failure."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def travelling():
    """What of the checkout belongs to every estate, by its path."""
    folders = ("schemas", "domain-templates", ".github/workflows")
    found = [path.relative_to(ROOT) for name in folders for path in (ROOT / name).rglob("*.*")]
    return [path for path in found if path.name != "ci.yml"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT, cwd=folder)
    return next(folder.glob("mail_reconciler-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel):
    """The command, in an environment that holds the wheel, its dependencies and nothing else."""
    environment = wheel.parent / "bare"
    run(sys.executable, "-m", "venv", environment, cwd=wheel.parent)
    locked = ("--constraint", ROOT / "constraints.txt")
    run(environment / "bin" / "pip", "install", "--disable-pip-version-check", *locked, wheel, cwd=wheel.parent)
    return environment / "bin" / "reconciler"


def test_schemas_and_templates_travel_in_the_wheel(wheel):
    """What `init` writes from files lies in the package's data, file by file, and our own CI does not."""
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("reconciler/data/")}
    assert shipped == {f"reconciler/data/{path}" for path in travelling()}
    assert len(shipped) > len({"schemas", "domain-templates", ".github"})


def test_an_installed_tool_makes_a_valid_estate(installed, tmp_path):
    """`init` writes every file of a new estate, `validate` has nothing to say about it, both from elsewhere."""
    estate = tmp_path / "estate"
    run(installed, "init", estate, cwd=tmp_path)
    made = {path.name for path in estate.iterdir()}
    assert made >= {"reconciler.yaml", "schemas", "domain-templates", "tenants", "README.md", ".gitignore", ".git"}
    assert "var/" in (estate / ".gitignore").read_text().split()
    run("git", "add", "--all", cwd=estate)
    run("git", "commit", "--quiet", "--message", "A new estate", cwd=estate)
    said = json.loads(run(installed, "validate", "--estate", estate, "--format", "json", cwd=tmp_path))
    assert (said["format"], said["findings"]) == ("reconciler.findings/1", [])


@pytest.mark.parametrize("how", ["wheel", "editable"])
def test_a_new_estate_starts_with_what_was_tested(how, request, tmp_path):
    """Installed either way, the tool writes the very schemas, templates and workflows that lie in the checkout."""
    estate = tmp_path / "estate"
    own = Path(sys.executable).with_name("reconciler")
    tool = own if how == "editable" else request.getfixturevalue("installed")
    run(tool, "init", estate, cwd=tmp_path)
    for path in travelling():
        assert (estate / path).read_bytes() == (ROOT / path).read_bytes()
    assert not (estate / ".github" / "workflows" / "ci.yml").exists()
