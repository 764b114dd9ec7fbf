"""The test-only switch that ends the process at a named point of a transaction's life.

MAILSTEAD_CRASHPOINT=C7 ends the process the first time point C7 is passed, C7:3 the third time, exactly as a kill
would: no handler runs, nothing is flushed. Without the variable a point costs one dictionary look-up.
"""

from __future__ import annotations

import os

EXIT_CODE = 77
_passed: dict[str, int] = {}


def hit(name: str) -> None:
    """Pass the crash point `name` (C1 to C11, C21); does not return when the switch names it."""
    wanted = os.environ.get("MAILSTEAD_CRASHPOINT")
    if not wanted:
        return
    point, _, times = wanted.partition(":")
    if point != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] >= int(times or 1):
        os._exit(EXIT_CODE)
