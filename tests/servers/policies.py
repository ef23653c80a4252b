"""A web server for policies of MTA-STS: HTTPS at port 443 of a loopback address of its own, with a CA of the test's."""

from __future__ import annotations

import random
import ssl
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


class PolicyHost:
    """Serves inside `with`. `authority` is the file of its CA, for SSL_CERT_FILE; what it answers may be changed.

    `asked` holds (host, path) of each request. `pause`: seconds before each octet of the body.
    """

    def __init__(self, folder: Path, name: str = "mta-sts.northwind.example") -> None:
        self.address = f"127.{random.randrange(10, 250)}.{random.randrange(1, 250)}.{random.randrange(1, 250)}"
        self.status, self.body, self.kind, self.more = 200, b"", "text/plain; charset=utf-8", dict[str, str]()
        self.pause = 0.0
        self.asked: list[tuple[str | None, str]] = []
        self.authority = folder / "ca.pem"
        self._certificate = folder / "host.pem"
        self._certify(name)

    def _certify(self, name: str) -> None:
        """A CA, and a certificate of it for this name."""
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("Test CA", name)]
        now = datetime.now(UTC)
        made = []
        for key, subject, is_ca in zip(keys, names, (True, False), strict=True):
            building = (
                x509.CertificateBuilder().subject_name(subject).issuer_name(names[0]).public_key(key.public_key())
            )
            building = building.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
            building = building.not_valid_after(now + timedelta(days=2))
            building = building.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            if not is_ca:
                building = building.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            made.append(building.sign(keys[0], hashes.SHA256()).public_bytes(PEM))
        self.authority.write_bytes(made[0])
        key = keys[1].private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN)
        self._certificate.write_bytes(made[1] + key)

    def __enter__(self) -> Self:
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append((self.headers["Host"], self.path))
                self.send_response(host.status)
                for key, value in {"Content-Type": host.kind, **host.more}.items():
                    self.send_header(key, value)
                self.end_headers()
                for start in range(0, len(host.body), 1 if host.pause else len(host.body)):
                    time.sleep(host.pause)
                    self.wfile.write(host.body[start : start + 1] if host.pause else host.body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads, block_on_close = True, False

            def handle_error(self, *_: object) -> None:
                """A client that goes away, or does not trust the certificate, is what some tests are about."""

        with ExitStack() as stack:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            server = stack.enter_context(Server((self.address, 443), Handler))
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.shutdown)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
