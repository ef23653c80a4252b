"""The queries of docs/servers.md on PostgreSQL and MariaDB: real mail, with a login that may only SELECT."""

from __future__ import annotations

import imaplib
import smtplib
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from reconciler.providers._postfixadmin import TABLES
from reconciler.providers._sql import Database
from tests.providers import sql_servers
from tests.servers import need
from tests.servers.mail import MailStack
from tests.servers.settings import Source

ROWS = {
    "INSERT INTO domain (domain, description, transport, backupmx, active) VALUES (:name, '', '', :no, :yes)": (
        {"name": "a.example"},
        {"name": "b.example"},
    ),
    "INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES ('b.example', 'a.example', :yes)": ({},),
    "INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain, active) VALUES "
    "(:name || '@a.example', '{PLAIN}sesame', '', 'a.example/' || :name || '/', 1000000, :name, 'a.example', :yes)": (
        {"name": "jane"},
        {"name": "rosa"},
    ),
    "INSERT INTO alias (address, goto, domain, active) VALUES (:name || '@a.example', :goto, 'a.example', :yes)": (
        {"name": "jane", "goto": "jane@a.example"},
        {"name": "rosa", "goto": "rosa@a.example"},
        {"name": "info", "goto": "jane@a.example,rosa@a.example"},
    ),
    "INSERT INTO reconciler_mailbox (username, domain, login_enabled, shared, blocked, name_taken) VALUES "
    "('rosa@a.example', 'a.example', 0, 0, 1, 0)": ({},),
}


def fill(url):
    with Database("mailhost", url, "/").session(write=True) as session:
        session.make(TABLES)
        session.begin(write=True)
        for text, rows in ROWS.items():
            session.write(text, [{**row, "yes": True, "no": False} for row in rows])
        session.commit()


def postgresql_reader(url):
    """A login that may only read."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")


def mariadb_reader(url):
    at = urlsplit(url)
    with pymysql.connect(host="127.0.0.1", port=at.port, user="root") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER reader@localhost IDENTIFIED BY 'secret'")
        cursor.execute(f"GRANT SELECT ON {at.path[1:]}.* TO reader@localhost")


@need("/usr/lib/postfix/sbin/master", "dovecot", "initdb", "mariadbd", root=True)
@pytest.mark.parametrize(
    ("kind", "server", "add_reader"),
    [
        ("pgsql", sql_servers.postgresql, postgresql_reader),
        ("mysql", sql_servers.mariadb, mariadb_reader),
    ],
    ids=["postgresql", "mariadb"],
)
def test_the_queries_hold_on_other_databases(kind, server, add_reader):
    """Alias, twin, unknown, blocked and send-as, exactly as on SQLite."""
    with server() as running, tempfile.TemporaryDirectory(prefix="reconciler-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        url = running.fresh()
        fill(url)
        add_reader(url)
        source = Source(kind, urlsplit(url).path[1:], running.port, "reader", "secret")
        with MailStack(source, folder / "mail") as stack:
            stack.send("x@elsewhere.test", "info@b.example")
            assert len(stack.messages("jane@a.example", "sesame")) == 1
            with pytest.raises(smtplib.SMTPRecipientsRefused, match="User unknown"):
                stack.send("x@elsewhere.test", "nobody@a.example")
            with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                stack.messages("rosa@a.example", "sesame")
            for sender in ("jane@a.example", "info@a.example", "jane@b.example"):
                stack.submit("jane@a.example", "sesame", sender, "x@elsewhere.test")
            with pytest.raises(smtplib.SMTPRecipientsRefused, match="not owned by user"):
                stack.submit("jane@a.example", "sesame", "rosa@a.example", "x@elsewhere.test")
