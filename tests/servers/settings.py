"""What the servers are told: the blocks of docs/servers.md, and what a private run needs besides (ports, folders)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

RECIPES = Path(__file__).parents[2] / "docs" / "servers.md"
POSTFIX = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}
multi_instance_name = postfix-{smtp}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test.invalid
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
local_transport = error:no local delivery
biff = no
relayhost = [127.0.0.1]:{sink}
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
milter_default_action = accept
milter_connect_timeout = 2s
smtp_tls_security_level =
"""
SERVICES = """
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
{submission_options}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = reconciler-{imap}
log_path = {folder}/log/dovecot.log
listen = 127.0.0.1
protocols = imap lmtp
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
first_valid_uid = {uid}
protocol lmtp {{
  postmaster_address = postmaster@test.invalid
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
}}
"""


def recipes() -> dict[str, str]:
    """The blocks of docs/servers.md by the file they belong to: `{"/etc/postfix/main.cf": text}`."""
    blocks = re.findall(r"^```\w+\n# (/\S+)\n(.*?)^```", RECIPES.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return dict(blocks)


class Source(NamedTuple):
    """The database the servers read: a SQLite file, or a server on loopback (`type` as Postfix spells it)."""

    type: str
    name: str
    port: int = 0
    user: str = ""
    password: str = ""

    def translated(self, text: str) -> str:
        """A recipe for SQLite as docs/servers.md says it reads for this database."""
        if self.type == "sqlite":
            return text.replace("/var/lib/reconciler/mail.sqlite", self.name)
        postfix = f"hosts = 127.0.0.1:{self.port}\nuser = {self.user}\npassword = {self.password}\ndbname = {self.name}"
        dovecot = f"host=127.0.0.1 port={self.port} user={self.user} password={self.password} dbname={self.name}"
        if self.type == "mysql":
            postfix += "\noption_file = /etc/postfix/sql/ansi.cnf"
            dovecot += " option_file=/etc/postfix/sql/ansi.cnf"
        changed = {
            "dbpath = /var/lib/reconciler/mail.sqlite": postfix,
            "connect = /var/lib/reconciler/mail.sqlite": f"connect = {dovecot}",
            "driver = sqlite": f"driver = {self.type}",
            "proxy:sqlite:": f"proxy:{self.type}:",
        }
        for example, real in changed.items():
            text = text.replace(example, real)
        return text
