"""What people decided about the queue, looked up when it counts: routes, and who is told of delays.

Promises: a changed setting holds for the next attempt; asking costs microseconds and may be done on the loop. A table of
routes that cannot be read is refused where it is set; if one stands there all the same, the last good one holds.
"""

from __future__ import annotations

from contextlib import suppress

from data.directory.directory import Directory
from data.directory.settings import Scope, Settings
from data.errors import Invalid, NotFound
from data.spool.envelope import Work
from smtp.queue.route import HostPort, Routes, parse_routes


class QueuePolicy:
    """The settings of one queue; `route_all` comes from the configuration and goes before them."""

    def __init__(self, route_all: HostPort | None, settings: Settings, directory: Directory) -> None:
        self._settings, self._directory = settings, directory
        self._all = route_all
        self._text = ""
        self._routes = Routes(all=route_all)

    def routes(self) -> Routes:
        """The routes of this moment."""
        everybody = Scope.organisation(self._directory.organisation().id)
        text = self._settings.text(everybody, "queue.routes")
        if text != self._text:
            self._text = text
            with suppress(Invalid):
                self._routes = Routes(all=self._all, table=parse_routes(text))
        return self._routes

    def warns(self, work: Work) -> bool:
        """Is the sender of this work told of a delay? Forwards and notifications have no account: their sender is."""
        account = work.item.account
        if account is None:
            return True
        try:
            return self._settings.enabled(Scope.account(account), "queue.delay-notices")
        except NotFound:
            return False
