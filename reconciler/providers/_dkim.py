"""DKIM key pairs: the private half as PEM for a signer, the public half as the text of its DNS record."""

from __future__ import annotations

import base64
from typing import NamedTuple


class KeyPair(NamedTuple):
    """`public` is the whole record (RFC 6376 section 3.6.1, RFC 8463 section 4). `repr` keeps the private half out."""

    private_key: str
    public: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"


def make(type_: str, bits: int) -> KeyPair:
    """A new pair: `rsa` of so many bits, or `ed25519`, whose size is fixed."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    key = ed25519.Ed25519PrivateKey.generate() if type_ == "ed25519" else rsa.generate_private_key(65537, bits)
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    private = key.private_bytes(
        form.Encoding.PEM,
        form.PrivateFormat.TraditionalOpenSSL if is_rsa else form.PrivateFormat.PKCS8,
        form.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        form.Encoding.DER if is_rsa else form.Encoding.Raw,
        form.PublicFormat.SubjectPublicKeyInfo if is_rsa else form.PublicFormat.Raw,
    )
    return KeyPair(private.decode("ascii"), f"v=DKIM1; k={type_}; p={base64.b64encode(public).decode('ascii')}")
