"""Dovecot's doveadm over HTTP, for who may open a shared mailbox (ACLs, RFC 4314 in Dovecot's words)."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

from reconciler.errors import ProviderError, Refused
from reconciler.providers import _http, _shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.providers._http import Place
    from reconciler.providers._shapes import Problem

TIMEOUT = 10  # seconds
MAX_ANSWER = 8 * 2**20  # bytes
MAILBOX = "INBOX"
RIGHTS = {
    "read": ("lookup", "read"),
    "full": ("lookup", "read", "write", "write-seen", "write-deleted", "insert", "post", "expunge", "create", "delete"),
}


def place(url: str) -> Place:
    """Where doveadm answers at this URL."""
    at = _http.place(url)
    return at._replace(path=f"{at.path}/doveadm/v1")


def problems(api: Any) -> Iterator[Problem]:
    """What is wrong with the setting `doveadm`."""
    if not isinstance(api, dict) or api.keys() != {"url", "api_key"}:
        yield ("doveadm",), "must have `url` and `api_key`, and nothing else"
        return
    yield from ((("doveadm", *path), why) for path, why in _shapes.texts(api, "url", "api_key"))
    yield from ((("doveadm", *path), why) for path, why in _http.problems(api, "url"))


class Doveadm:
    """The HTTP API at `url` (one that `problems` finds none with), opened with `api_key`."""

    def __init__(self, name: str, url: str, api_key: str) -> None:
        self._name, self._place = name, place(url)
        self._key = base64.b64encode(api_key.encode("utf-8", "surrogateescape")).decode()

    def share(self, rights: Iterable[tuple[str, str, str]]) -> None:
        """Give each (mailbox, member) its right; "" takes it away. Raises ProviderError: some may have been given."""
        commands = [_command(*right, tag=str(index)) for index, right in enumerate(rights)]
        if not commands:
            return
        answers = self._post(commands)
        done = {tag for word, _, tag in answers if word == "doveadmResponse"}
        wrong = [tag for _, _, tag in commands if tag not in done]
        if wrong:
            said = {tag: what.get("exitCode", what.get("type")) for _, what, tag in answers}
            codes = ", ".join(sorted({str(said.get(tag, "no answer"))[:40] for tag in wrong}))
            raise ProviderError(
                f"{self._name}: Dovecot did not set {len(wrong)} of {len(commands)} rights on shared mailboxes "
                f"(doveadm exit code {codes}); apply again once it answers"
            )

    def _post(self, commands: list[Any]) -> list[tuple[str, dict[str, Any], str]]:
        headers = {"Authorization": f"X-Dovecot-API {self._key}", "Content-Type": "application/json"}
        try:
            status, body = _exchange(self._place, json.dumps(commands), headers)
            if status == 200:
                return [(str(word), dict(what or {}), str(tag)) for word, what, tag in json.loads(body)]
            kind, why = Refused if status in {401, 403} else ProviderError, f"answers {status}"
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            kind, why = ProviderError, f"gives no usable answer ({type(error).__name__})"
        why = f"doveadm at {self._place.shown} {why}"
        raise kind(f"{self._name}: {why}; the database is written, rights on shared mailboxes perhaps not")


def _command(mailbox: str, member: str, right: str, *, tag: str) -> list[Any]:
    what = {"user": mailbox, "mailbox": MAILBOX, "id": f"user={member}"}
    return ["aclSet", {**what, "right": list(RIGHTS[right])}, tag] if right else ["aclDelete", what, tag]


def _exchange(place: Place, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """One POST. No proxy and no redirect: the key goes to this host and no other. Raises OSError and ValueError."""
    import http.client

    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    try:
        with closing(kind(place.host, place.port, timeout=TIMEOUT)) as connection:
            connection.request("POST", place.path, body, headers)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER + 1)
    except http.client.HTTPException as error:
        raise OSError(type(error).__name__) from None
    if len(data) > MAX_ANSWER:
        raise ValueError("an answer beyond all measure")
    return answer.status, data
