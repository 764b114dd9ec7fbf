#!/usr/bin/env python3
"""The table of a webmail bench: what was measured, beside the goal and the peer.

usage: table.py DIR      reads DIR/mailstead.json and, when it is there, DIR/roundcube.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One line: its name, where the figure is, its unit, and the most it may be."""

    name: str
    step: str
    field: str
    most: float | None
    unit: str = "ms"


KIB = 1024
ROWS = (
    Row("login page, cold", "login_page_cold", "ms", 250),
    Row("login page, cold: transfer", "login_page_cold", "bytes", 60 * KIB, "KiB"),
    Row("login to the list, cold", "login_to_inbox_cold", "ms", 600),
    Row("both, cold: transfer", "login_to_inbox_cold", "total_bytes", 200 * KIB, "KiB"),
    Row("both, cold: requests", "login_to_inbox_cold", "uncached", 14, ""),
    Row("inbox, warm", "inbox_warm", "ms", 250),
    Row("inbox, warm: requests", "inbox_warm", "uncached", 3, ""),
    Row("open a message", "open_message", "ms", 120),
    Row("next message by j", "open_message_next_key", "ms", 100),
    Row("next 50 rows", "list_next_page", "ms", 120),
    Row("switch folder", "switch_folder_sent", "ms", 150),
    Row("search a subject", "search_subject", "ms", 150),
    Row("search a body", "search_body", "ms", 200),
    Row("search as it is typed (6 keys, 40 ms apart)", "search_as_you_type", "ms", None),
    Row("open the composer", "compose_open", "ms", 100),
    Row("open the settings", "settings_open", "ms", 200),
    Row("DOM nodes of the inbox", "login_to_inbox_cold", "nodes", 1500, ""),
    Row("JS heap of the inbox", "login_to_inbox_cold", "heap", 4e6, "MB"),
    Row("long tasks of the inbox", "login_to_inbox_cold", "longtask", 100),
)
_SCALE = {"KiB": (KIB, 1), "MB": (1e6, 1), "ms": (1, 0), "": (1, 0)}


def main(folder: Path) -> int:
    """Print it; 1 when a goal was missed."""
    ours, peer = _read(folder / "mailstead.json"), _read(folder / "roundcube.json")
    missed = 0
    print("| | roundcube+dovecot | mailstead | ratio | goal | |\n|---|---|---|---|---|---|")
    for row in ROWS:
        mine, theirs = _value(ours, row), _value(peer, row)
        met = mine is not None and (row.most is None or mine <= row.most)
        missed += not met
        ratio = f"{mine / theirs:.2f}" if mine is not None and theirs else "-"
        goal = "" if row.most is None else f"<= {_said(row.most, row)}"
        cells = (row.name, _cell(peer, row, theirs), _cell(ours, row, mine), ratio, goal, "" if met else "missed")
        print("| " + " | ".join(cells) + " |")
    _memory(ours, peer)
    return 1 if missed else 0


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _value(result: dict[str, Any], row: Row) -> float | None:
    step = result.get("timing", {}).get(row.step, {})
    value = step.get(row.field)
    return None if value is None else float(value)


def _said(value: float, row: Row) -> str:
    scale, digits = _SCALE[row.unit]
    return f"{value / scale:.{digits}f}{' ' + row.unit if row.unit else ''}"


def _cell(result: dict[str, Any], row: Row, value: float | None) -> str:
    step = result.get("timing", {}).get(row.step, {})
    if value is None:
        return "failed" if "error" in step else "-"
    if row.field == "ms" and "min" in step:
        return f"{_said(value, row)} ({step['min']}..{step['max']})"
    return _said(value, row)


def _memory(ours: dict[str, Any], peer: dict[str, Any]) -> None:
    for name, result in (("mailstead", ours), ("roundcube+dovecot", peer)):
        used = result.get("mem_after", {})
        said = ", ".join(f"{part} {one['pss_mb']} MB in {one['n']}" for part, one in used.items() if one["n"])
        if said:
            print(f"\nMemory (PSS, processes) of {name} after the run: {said}.", end="")
    print()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
