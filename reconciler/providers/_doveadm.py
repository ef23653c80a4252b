"""Dovecot's doveadm over HTTP, for who may open a shared mailbox (ACLs, RFC 4314 in Dovecot's words)."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from reconciler.errors import ProviderError, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT = 10  # seconds
MAILBOX = "INBOX"
RIGHTS = {
    "read": ("lookup", "read"),
    "full": ("lookup", "read", "write", "write-seen", "write-deleted", "insert", "post", "expunge", "create", "delete"),
}


class Doveadm:
    """The HTTP API at `url` (without path), opened with `api_key`."""

    def __init__(self, name: str, url: str, api_key: str) -> None:
        self._name, self._url = name, url.rstrip("/") + "/doveadm/v1"
        self._key = base64.b64encode(api_key.encode()).decode()

    def share(self, rights: Iterable[tuple[str, str, str]]) -> None:
        """Give each (mailbox, member) its right; "" takes it away. Raises ProviderError: some may have been given."""
        commands = [_command(*right, tag=str(index)) for index, right in enumerate(rights)]
        if not commands:
            return
        wrong = [answer for answer in self._post(commands) if answer[0] != "doveadmResponse"]
        if wrong:
            codes = sorted({str(answer[1].get("exitCode", answer[1].get("type"))) for answer in wrong})
            raise ProviderError(
                f"{self._name}: Dovecot did not set {len(wrong)} of {len(commands)} rights on shared mailboxes "
                f"(doveadm exit code {', '.join(codes)}); apply again once it answers"
            )

    def _post(self, commands: list[Any]) -> list[Any]:
        headers = {"Authorization": f"X-Dovecot-API {self._key}", "Content-Type": "application/json"}
        try:
            status, body = _exchange(self._url, json.dumps(commands), headers)
            if status == 200:
                return [(str(answer[0]), dict(answer[1] or {})) for answer in json.loads(body)]
            kind, why = Refused if status in {401, 403} else ProviderError, f"answers {status}"
        except (OSError, ValueError, TypeError, LookupError) as error:
            kind, why = ProviderError, f"gives no usable answer ({type(error).__name__})"
        where = urlsplit(self._url).netloc.rpartition("@")[2]
        why = f"doveadm at {where} {why}"
        raise kind(f"{self._name}: {why}; the database is written, rights on shared mailboxes perhaps not")


def _command(mailbox: str, member: str, right: str, *, tag: str) -> list[Any]:
    what = {"user": mailbox, "mailbox": MAILBOX, "id": f"user={member}"}
    return ["aclSet", {**what, "right": list(RIGHTS[right])}, tag] if right else ["aclDelete", what, tag]


def _exchange(url: str, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """One POST. No proxy and no redirect: the key goes to this host and no other."""
    import http.client

    target = urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    with closing(kind(target.hostname or "", target.port, timeout=TIMEOUT)) as connection:
        try:
            connection.request("POST", target.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(type(error).__name__) from None
