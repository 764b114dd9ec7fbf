"""Is there room on the disk for more mail? Asked at RCPT and APPEND, before any octets come, so that no 250 is taken back."""

from __future__ import annotations

import os
from pathlib import Path

from data.clock import Clock

_KEPT = 1.0
_FEW_FILES = 200


class Space:
    """Free octets and inodes of the state directory's filesystem; looked at once a second at most."""

    def __init__(self, path: Path, floor: int, clock: Clock, *, share: int = 20) -> None:
        """`floor` in octets; on a small filesystem its `share`-th part is enough."""
        self._path, self._floor, self._clock, self._share = path, floor, clock, share
        self._looked = float("-inf")
        self._free = 0

    def takes(self, octets: int) -> bool:
        """Is there room for a message of that size above the floor?"""
        now = self._clock.monotonic()
        if not self._looked <= now < self._looked + _KEPT:
            self._looked, self._free = now, self._above()
        return self._free > octets

    def _above(self) -> int:
        """Octets above the floor; none when there are hardly any inodes left. An unreadable path stops nothing."""
        try:
            found = os.statvfs(self._path)
        except OSError:
            return 1 << 62
        if found.f_files and found.f_favail < _FEW_FILES:
            return 0
        floor = min(self._floor, found.f_blocks * found.f_frsize // self._share)
        return max(0, found.f_bavail * found.f_frsize - floor)
