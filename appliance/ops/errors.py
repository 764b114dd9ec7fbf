"""What stops a command: one clear line for whoever runs the appliance, and an exit status."""

from __future__ import annotations

FAILED = 1
USAGE = 2
ALREADY_SET_UP = 3
WRONG_KEY = 4
LOCKED = 5


class OperatorError(Exception):
    """The command cannot go on; `line` says why and what helps, `status` is the exit status."""

    def __init__(self, line: str, status: int = FAILED) -> None:
        super().__init__(line)
        self.line = line
        self.status = status
