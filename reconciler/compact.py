"""JSON as the ledger and the journal keep it: without blanks, in UTF-8, each text one line."""

from __future__ import annotations

import json
from typing import Any


def compact(data: Any) -> bytes:
    """One line of JSON, with its line end.

    What the fast library does not take is written by Python's: whole numbers of more than 64 bits, and live text with
    bytes that are no UTF-8 (as escapes).
    """
    import orjson  # 6 ms, which a plan never pays

    try:
        return orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return f"{text}\n".encode("utf-8", "backslashreplace")
