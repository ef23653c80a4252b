"""A mail database as PostfixAdmin's own PHP code makes and fills it, without a web server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PROGRAM = (
    Path(__file__).parents[2] / "var" / "postfixadmin" / "usr" / "share" / "postfixadmin"
)  # install.sh put it there
CLI = PROGRAM / "scripts" / "postfixadmin-cli"
SETTINGS = Path("etc", "postfixadmin", "config.inc.php")


class PostfixAdmin:
    """PostfixAdmin on a new SQLite database; its program is copied into `folder`, because its settings lie in it."""

    def __init__(self, database: Path, folder: Path) -> None:
        self.folder = shutil.copytree(PROGRAM, folder, ignore=shutil.ignore_patterns("config.*.php", "templates_c"))
        (folder / "templates_c").mkdir()
        shutil.copy(PROGRAM.parents[2] / SETTINGS, folder)
        (folder / "dbconfig.inc.php").write_text(
            f"<?php $dbtype='sqlite'; $dbname='{database}'; $dbserver=$dbuser=$dbpass='';", encoding="utf-8"
        )
        (folder / "config.local.php").write_text("<?php $CONF['emailcheck_resolve_domain'] = 'NO';", encoding="utf-8")
        database.touch()
        self._php("public/upgrade.php")

    def add_domain(self, domain: str) -> None:
        self._php("scripts/postfixadmin-cli.php", "domain", "add", domain, "--default-aliases", "0")

    def add_mailbox(self, address: str, password: str) -> None:
        twice = ["--password", password, "--password2", password]
        self._php(
            "scripts/postfixadmin-cli.php", "mailbox", "add", address, *twice, "--name", address, "--welcome-mail", "0"
        )

    def _php(self, *words: str) -> None:
        done = subprocess.run(["php", "-q", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"php {words[0]} failed:\n{done.stdout}{done.stderr}"
