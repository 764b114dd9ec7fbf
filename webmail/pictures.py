"""Remote pictures of a message: fetched by this server when the reader asks for them, handed out as pictures and nothing else.

    GET /remote/<message>/<token>

Promises (RELIABILITY W2): only a URL that a cleaned message of this very account held is fetched, for nobody else knows its
token; nothing of the reader goes with it. What cannot be fetched, or is no picture, is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from appliance.net.fetch import Fetcher, FetchError
from appliance.web import images
from appliance.web.access import Access
from appliance.web.images import Seals
from appliance.web.native import Call, Native
from appliance.web.parts import WebParts
from data.errors import NotFound

PATH: Final = "/remote/"
_KEY: Final = b"remote pictures 1"


class Pictures:
    """The proxy, and the paths that lead to it."""

    def __init__(self, parts: WebParts, fetcher: Fetcher) -> None:
        self._fetcher, self._log = fetcher, parts.log
        self._seals = seals_of(parts)

    def natives(self) -> tuple[Native, ...]:
        """What the webmail registers."""
        return (Native(PATH, Access.USER, "GET", self._remote),)

    async def _remote(self, call: Call) -> None:
        message, _, token = call.rest.partition("/")
        number = int(message) if message.isascii() and message.isdigit() and len(message) < 19 else 0
        url = self._seals.url(call.account.id, number, token)
        if url is None:
            raise NotFound("a picture that no message of this account holds")
        try:
            picture = await images.load(self._fetcher, url)
        except FetchError as error:
            self._log.debug("web", why=error.why, path=PATH)
            call.say(404, error.public)
            return
        call.send(200, picture.body, {"Content-Type": picture.media_type, **dict(images.HEADERS)})


def seals_of(parts: WebParts) -> Seals:
    """What seals the tokens of this server."""
    return Seals(parts.keys.digest(_KEY))


def paths(seals: Seals, account: int, message: int) -> Callable[[str], str | None]:
    """Makes the path of a remote URL of one message."""
    return lambda url: f"/webmail{PATH}{message}/{seals.token(account, message, url)}"
