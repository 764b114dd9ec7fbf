"""How results of commands look on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from appliance.ops.control import Result
from appliance.ops.errors import FAILED

Show = Callable[[Result], int]
"""Print a result; returns the exit status."""

_WIDTH = 30
_EVERY = 0.1


def quiet(result: Result) -> int:
    """Done is all there is to say."""
    return 0


def text(result: Result) -> int:
    """What comes as text."""
    print(result["text"], end="")
    return 0


def accounts(result: Result) -> int:
    """One account a line."""
    rows = [
        (
            a["address"],
            a["role"],
            a["status"],
            str(a["messages"]),
            size(a["octets"]),
            size(a["quota"]) if a["quota"] else "-",
            a["name"],
        )
        for a in result["accounts"]
    ]
    table(("address", "role", "status", "messages", "size", "quota", "name"), rows)
    return 0


def domains(result: Result) -> int:
    """One domain a line, below it the records that its owner publishes."""
    for one in result["domains"]:
        catch = f"  catch-all {one['catch_all']}" if one["catch_all"] else ""
        print(f"{one['domain']}  {one['status']}{catch}")
        for host, record in one["records"]:
            print(f"    {host} TXT {record}")
    return 0


def aliases(result: Result) -> int:
    """One alias a line."""
    rows = [
        (a["address"], a["kind"], "yes" if a["send_as"] else "no", ", ".join(a["targets"])) for a in result["aliases"]
    ]
    table(("address", "kind", "send as", "leads to"), rows)
    return 0


def settings(result: Result) -> int:
    """One setting a paragraph."""
    for one in result["settings"]:
        value = one["value"]
        if isinstance(value, bool):
            value = "on" if value else "off"
        lines = str(value).splitlines() or [""]
        print(f"{one['name']} = {printable(lines[0])}")
        for line in lines[1:]:
            print(f"    {printable(line)}")
        print(f"    # {one['doc']}")
    return 0


def queue(result: Result) -> int:
    """One recipient a line."""
    rows = [
        (
            str(r["item"]),
            r["state"],
            str(r["attempts"]),
            moment(r["next_at"]),
            r["sender"] or "<>",
            r["recipient"],
            r["words"],
        )
        for r in result["recipients"]
    ]
    table(("item", "state", "tries", "next (UTC)", "from", "to", "why"), rows)
    return 0


def routes(result: Result) -> int:
    """One route a line."""
    rows = [(r["domain"], f"{r['host']}:{r['port']}", r["user"] or "-") for r in result["routes"]]
    table(("domain", "goes to", "as"), rows)
    return 0


def led(result: Result) -> int:
    """A new alias; a target of ours that is not there is often a typing mistake."""
    for address in result["unknown"]:
        print(f"mailstead: note: there is no {printable(address)} yet", file=sys.stderr)
    return 0


def kept_back(result: Result) -> int:
    """One message a line."""
    rows = [
        (str(r["number"]), moment(r["at"]), r["account"], r["sender"] or "<>", r["subject"], r["why"])
        for r in result["messages"]
    ]
    table(("number", "since (UTC)", "for", "from", "subject", "why"), rows)
    return 0


def released(result: Result) -> int:
    """How many messages a quarantine command changed."""
    print("1 message" if result["changed"] == 1 else f"{result['changed']} messages")
    return 0


def counted(result: Result) -> int:
    """How many recipients a queue command changed."""
    print("1 recipient" if result["changed"] == 1 else f"{result['changed']} recipients")
    return 0


def imported(result: Result) -> int:
    """What an import did; it failed when a file was refused."""
    print(f"{result['imported']} imported, {result['known']} known from before, {result['refused']} refused")
    for name, why in result["why"]:
        print(f"  {name}: {why}")
    return FAILED if result["refused"] else 0


def indexes(result: Result) -> int:
    """One account a line."""
    rows = [
        (
            a["address"],
            ("ready" if not a["waiting"] else "catching up") if a["ready"] else "not built yet",
            str(a["indexed"]),
            str(a["waiting"]),
            str(a["segments"]),
            size(a["octets"]),
        )
        for a in result["accounts"]
    ]
    table(("address", "state", "indexed", "waiting", "segments", "size"), rows)
    return 0


def reindexed(result: Result) -> int:
    """What a rebuild holds."""
    print(f"{result['indexed']} messages indexed")
    return 0


def findings(result: Result) -> int:
    """What verify found."""
    for one in result["findings"]:
        print(f"{one['code']}: {one['subject']}: {one['detail']}")
    wrong = len(result["findings"])
    print("everything agrees" if not wrong else "1 thing is wrong" if wrong == 1 else f"{wrong} things are wrong")
    return FAILED if result["findings"] else 0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they must be."""
    lines = [tuple(head), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """Text from outside, so that it cannot steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def size(octets: int) -> str:
    """Octets in words of people: 1.5 MiB."""
    value, unit = float(octets), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def moment(millis: int | None) -> str:
    """A time, in UTC."""
    return "-" if millis is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(millis / 1000))


class Bar:
    """A progress bar, where somebody can see it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._seen = stream.isatty()
        self._last = 0.0
        self._begun = time.monotonic()
        self._drawn = False

    def tell(self, done: int, total: int) -> None:
        """Draw, at most ten times a second."""
        now = time.monotonic()
        if not self._seen or (now - self._last < _EVERY and done != total):
            return
        self._last, self._drawn = now, True
        full = _WIDTH * done // total if total else 0
        rate = done / max(now - self._begun, 0.001)
        self._stream.write(f"\r[{'#' * full}{'.' * (_WIDTH - full)}] {done}/{total or '?'}  {rate:.0f}/s ")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._drawn:
            self._stream.write("\n")
            self._stream.flush()
