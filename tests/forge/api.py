"""The API of the tests' GitHub, over HTTP on loopback.

It is no kinder than the world: every request and every answer is held against GitHub's own description, a token may do
what the `permissions` of a workflow's job grant it, pages hold 100 at most, and single requests can be made to fail.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.forge.answers import Answer, Answers, Failed
from tests.forge.description import OPERATIONS, Asked, Undescribed, check_answer, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.forge.github import GitHub

BLOBS = "/blobs/"
# Any of these is enough, as https://docs.github.com/rest/authentication/permissions-required-for-github-apps says.
TALK, LOOK = ("issues:write", "pull-requests:write"), ("issues:read", "pull-requests:read")
GRANTS = {
    "actions/download-artifact": ("actions:read",),
    "actions/list-artifacts-for-repo": ("actions:read",),
    "checks/create": ("checks:write",),
    "checks/list-for-ref": ("checks:read",),
    "checks/update": ("checks:write",),
    "issues/create": ("issues:write",),
    "issues/create-comment": TALK,
    "issues/create-label": ("issues:write",),
    "issues/delete-comment": TALK,
    "issues/get": LOOK,
    "issues/list-comments": LOOK,
    "issues/list-for-repo": ("issues:read",),
    "issues/list-labels-on-issue": LOOK,
    "issues/update": TALK,
    "issues/update-comment": TALK,
    "pulls/get": ("pull-requests:read",),
    "pulls/list-commits": ("pull-requests:read",),
    "pulls/list-reviews": ("pull-requests:read",),
    "repos/create-commit-status": ("statuses:write",),
    "repos/get": ("metadata:read",),
    "repos/get-commit": ("contents:read",),
    "repos/list-pull-requests-associated-with-commit": ("pull-requests:read",),
}


@dataclass
class Fault:
    """The next request of an operation fails; `after`: it is done all the same, and its answer lost."""

    operation: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


class Api:
    """Answers requests. `asked` is what was asked, `wrong` is what nobody may send or answer: a test ends on it."""

    def __init__(self, github: GitHub) -> None:
        self.github, self.answers = github, Answers(github)
        self.lock = threading.Lock()
        self.asked: list[Asked] = []
        self.wrong: list[str] = []
        self.faults: list[Fault] = []
        self.tokens: dict[str, set[str]] = {}

    def token(self, grants: dict[str, str]) -> str:
        """A token of a workflow's job with its `permissions`, such as {"checks": "write"}."""
        levels = {f"{scope}:{level}" for scope, level in grants.items()} | {"metadata:read"}
        levels |= {f"{scope}:read" for scope, level in grants.items() if level == "write"}
        token = f"ghs_{next(self.github.ids)}"
        self.tokens[token] = levels
        return token

    def respond(self, method: str, target: str, authorization: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content: of the API, or of the store of artifacts, which takes no token."""
        if target.startswith(BLOBS):
            if authorization:
                self.wrong.append(f"{target}: the token was sent on to another host")
            return 200, {"content-type": "application/zip"}, self.github.archives[int(target.removeprefix(BLOBS))]
        answer = self.answer(method, target, authorization, body)
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        return answer.status, {"content-type": "application/json; charset=utf-8"} | answer.headers, content

    def answer(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        """Reads, judges, does, and judges what it says itself."""
        try:
            asked = read(method, target, body)
            self.asked.append(asked)
            fault = next((fault for fault in self.faults if fault.operation == asked.operation), None)
            if fault is None:
                return self._done(asked, authorization)
            self.faults.remove(fault)
            if fault.after:
                self._done(asked, authorization)
            return Answer(fault.status, _error("It failed."), fault.headers)
        except Failed as failed:
            return Answer(failed.args[0], _error(failed.args[1]))
        except Undescribed as error:
            self.wrong.append(f"{method} {target}: {error}")
            return Answer(400, _error("Undescribed"))

    def _done(self, asked: Asked, authorization: str) -> Answer:
        answer = self._allowed(asked, authorization)
        check_answer(asked.operation, answer.status, answer.body)
        return answer

    def _allowed(self, asked: Asked, authorization: str) -> Answer:
        levels = self.tokens.get(authorization.partition(" ")[2])
        if levels is None:
            raise Failed(401, "Bad credentials")
        if f"{asked.parameters['owner']}/{asked.parameters['repo']}" != self.github.name:
            raise Failed(404, "Not Found")
        if not levels & set(GRANTS[asked.operation]):
            raise Failed(403, "Resource not accessible by integration")
        found = self.answers.of(asked)
        return found if isinstance(found, Answer) else self._paged(asked, found)

    def _paged(self, asked: Asked, found: Any) -> Answer:
        """A page of a list, with the address of the next one."""
        within = next((key for key in ("check_runs", "artifacts") if isinstance(found, dict) and key in found), None)
        if not isinstance(found, list) and within is None:
            return Answer(200, found)
        size, page = min(asked.parameters.get("per_page", 30), 100), asked.parameters.get("page", 1)
        whole = found if within is None else found[within]
        part = whole[size * (page - 1) : size * page]
        more = len(whole) > size * page
        return Answer(200, part if within is None else found | {within: part}, self._next(asked, page) if more else {})

    def _next(self, asked: Asked, page: int) -> dict[str, str]:
        described = OPERATIONS[asked.operation]
        query = {k: v for k, v in asked.parameters.items() if described["parameters"][k]["in"] == "query"}
        path = described["path"].format(**asked.parameters)
        return {"link": f'<{self.github.url}{path}?{urlencode(query | {"page": page + 1})}>; rel="next"'}


def _error(message: str) -> dict[str, str]:
    return {"message": message, "documentation_url": "https://docs.github.com/rest"}


@contextmanager
def serve(github: GitHub) -> Iterator[Api]:
    """The API, at `github.url` while it lasts. Fails in the end where something was asked or answered wrongly."""
    api = Api(github)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            with api.lock:
                status, headers, content = api.respond(
                    self.command, self.path, self.headers.get("authorization", ""), body
                )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = respond  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing: a test says what it saw."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_port}"
    github.store = f"http://localhost:{server.server_port}{BLOBS}{{}}"  # another host than the API's
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert api.wrong == [], api.wrong
