"""Whether the DKIM signatures of a message hold (RFC 6376): judged here, whatever the servers on its way say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.answers import Seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.answers import Answer

MOST = 20  # signatures that are looked at
_BODY = "body hash"  # what dkimpy's message begins with where it is the body that does not fit


def seals(message: bytes, domain: str, keys: Mapping[str, Answer]) -> dict[str, Seal]:
    """{selector: what becomes of the domain's signature by it}, of {selector: what DNS says at the name of its key}.

    One that holds is enough where there are several by one.
    """
    found: dict[str, Seal] = {}
    for selector, seal in _all(message, domain, keys):
        if selector not in found or seal.status == "pass":
            found[selector] = seal
    return found


def _all(message: bytes, domain: str, keys: Mapping[str, Answer]) -> Iterator[tuple[str, Seal]]:
    import dkim

    try:
        signed = dkim.DKIM(message)
    except Exception as error:  # noqa: BLE001  (whoever sent the message decides what the parser stumbles over)
        yield from ((selector, Seal("fail", _fault(error))) for selector in keys)
        return
    count = sum(name.lower() == b"dkim-signature" for name, _ in signed.headers)
    for index in range(min(count, MOST)):
        by, selector = _signer(signed, index)
        if by == domain and selector in keys:
            yield selector, _seal(signed, index, keys[selector])


def _signer(signed: Any, index: int) -> tuple[str, str]:
    """(domain, selector) of a signature; one that cannot be read is nobody's."""
    try:
        signed.verify_headerprep(index)
        return signed.domain.decode("ascii").lower(), signed.selector.decode("ascii").lower()
    except Exception:  # noqa: BLE001  (as above)
        return "", ""


def _seal(signed: Any, index: int, answer: Answer) -> Seal:
    import dkim

    if answer.status == "failed":
        return Seal("unknown", "nobody could be asked for its key")
    if not answer.values:
        return Seal("fail", "DNS has no key for it")
    key = answer.values[0].encode("utf-8", "surrogateescape")
    try:
        holds = signed.verify(index, dnsfunc=lambda _name, timeout=0: key)  # noqa: ARG005  (dkimpy names it)
    except (dkim.NaClNotFoundError, dkim.UnknownKeyTypeError):
        return Seal("unknown", "its kind of key cannot be checked here")
    except Exception as error:  # noqa: BLE001  (as above)
        return Seal("fail", _fault(error))
    return Seal("pass") if holds else Seal("fail", "it does not fit the key in DNS")


def _fault(error: Exception) -> str:
    return (
        "the body is not the one that was signed"
        if _BODY in str(error)
        else f"it is malformed ({type(error).__name__})"
    )
