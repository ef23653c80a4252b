"""A message from each of some domains, sent as a person would and looked for in a mailbox: only mail shows who signs.

The envelope's sender is the mailbox itself, so bounces come back and SPF is its own domain's; the domain stands in
From, by which mail is signed. The messages stay in the mailbox.
"""

from __future__ import annotations

import imaplib
import secrets
import smtplib
import ssl
import time
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.answers import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from reconciler.answers import Server

ONE = 10.0  # seconds for one step of a server
SENDING = 30.0  # seconds after which no more are sent
WITHIN = 45.0  # seconds after which a message that is not there is lost: it has a hop or two to go
PAUSE = 0.2  # seconds between two looks
SUBMISSIONS, IMAPS = 465, 993  # TLS from the first byte (RFC 8314); elsewhere it is STARTTLS
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
LONGEST = 256 * 2**10  # bytes of a message: ours has one line, and servers on its way may add some
_WANTED = f"(BODY.PEEK[]<0.{LONGEST + 1}>)"


class _Stopped(Exception):
    """Nothing can be said of any message: why, in words for people."""


class _Probe(NamedTuple):
    mailbox: str
    submission: Server
    imap: Server
    user: str
    password: str


def deliver(
    said: Mapping[str, Any], password: str, domains: Iterable[str], alive: Callable[[], object]
) -> dict[str, Arrival]:
    """What became of a message from each domain. `said` is what reconciler.yaml says under `probe`.

    `alive` is called before each of the two steps: neither takes longer than a lease leaves.
    """
    submission, imap = (canonical.server(said[key]) for key in ("submission", "imap"))
    probe = _Probe(said["mailbox"], submission, imap, said.get("user", said["mailbox"]), password)
    ids = {domain: f"<{secrets.token_hex(16)}@{domain}>" for domain in sorted(set(domains))}
    try:
        alive()
        refused = dict(_refused(probe, ids))
        alive()
        found = _found(probe, {domain: id_ for domain, id_ in ids.items() if domain not in refused})
    except _Stopped as stopped:
        return dict.fromkeys(ids, Arrival(problem=str(stopped)))
    except Exception as error:  # noqa: BLE001  (all is written by now: whatever a server says must not end the run)
        return dict.fromkeys(ids, Arrival(problem=f"a mail server could not be asked ({type(error).__name__})"))
    return {domain: found.get(domain, Arrival(problem=refused.get(domain, ""))) for domain in ids}


def _refused(probe: _Probe, ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Send them; (domain, why) of those that submission does not take."""
    host, port = probe.submission
    with _submission(host, port) as client:
        client.ehlo()
        if port != SUBMISSIONS and client.has_extn("starttls"):
            client.starttls(context=ssl.create_default_context())
        elif port != SUBMISSIONS:
            _in_the_clear(host, "submission")
        try:
            client.login(probe.user, probe.password)
        except smtplib.SMTPException:
            raise _Stopped("submission refuses the login") from None
        end = time.monotonic() + SENDING
        for domain, id_ in ids.items():
            if time.monotonic() > end:
                yield domain, "submission took too long for those before it"
                continue
            try:
                client.send_message(_message(probe, domain, id_), probe.mailbox, [probe.mailbox])
            except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused):
                yield domain, "submission refuses the message"


def _submission(host: str, port: int) -> smtplib.SMTP:
    if port == SUBMISSIONS:
        return smtplib.SMTP_SSL(host, port, timeout=ONE, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, timeout=ONE)


def _message(probe: _Probe, domain: str, id_: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"postmaster@{domain}"
    message["To"] = probe.mailbox
    message["Subject"] = f"Probe: who signs the mail of {domain}"
    message["Date"] = formatdate()
    message["Message-ID"] = id_
    message["Auto-Submitted"] = "auto-generated"  # nobody answers it by machine (RFC 3834)
    message.set_content("Sent by `reconciler apply` to see how it arrives.\n")
    return message


def _found(probe: _Probe, ids: Mapping[str, str]) -> dict[str, Arrival]:
    """Those that came before the time is up."""
    found: dict[str, Arrival] = {}
    end = time.monotonic() + WITHIN
    with _imap(*probe.imap) as client:
        _enter(client, probe)
        while time.monotonic() < end:
            for domain in ids.keys() - found.keys():
                _, answer = client.uid("SEARCH", "HEADER", "Message-ID", f'"{ids[domain]}"')
                if numbers := (answer[0] or b"").split():
                    found[domain] = _fields(client, numbers[-1].decode())
            if len(found) == len(ids):
                break
            time.sleep(PAUSE)
            client.noop()
    return found


def _imap(host: str, port: int) -> imaplib.IMAP4:
    if port == IMAPS:
        return imaplib.IMAP4_SSL(host, port, ssl_context=ssl.create_default_context(), timeout=ONE)
    return imaplib.IMAP4(host, port, timeout=ONE)


def _enter(client: imaplib.IMAP4, probe: _Probe) -> None:
    """Log in, and look into the mailbox without changing anything."""
    host, port = probe.imap
    if port != IMAPS and "STARTTLS" in client.capabilities:
        client.starttls(ssl_context=ssl.create_default_context())
    elif port != IMAPS:
        _in_the_clear(host, "IMAP")
    try:
        client.login(probe.user, probe.password)
    except imaplib.IMAP4.error:
        raise _Stopped("IMAP refuses the login") from None
    client.select("INBOX", readonly=True)


def _in_the_clear(host: str, service: str) -> None:
    if host not in _HERE:
        raise _Stopped(f"{service} has no TLS, and a password goes nowhere in the clear")


def _fields(client: imaplib.IMAP4, number: str) -> Arrival:
    _, answer = client.uid("FETCH", number, _WANTED)
    raw = next(part[1] for part in answer if isinstance(part, tuple))
    head = message_from_bytes(raw)
    signatures, results = (
        tuple(" ".join(str(value).split()) for value in head.get_all(name, ()))
        for name in ("DKIM-Signature", "Authentication-Results")
    )
    message = raw if len(raw) <= LONGEST else b""
    return Arrival(came=True, signatures=signatures, results=results, message=message)
