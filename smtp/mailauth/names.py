"""What the checks ask DNS, for one message: from the loop ahead of time, or from the thread that checks.

Promises: every question ends, in LOOKUP seconds or when the message's time is up, and what is not known by then is
Temporary; no more than MOST questions are asked for one message. The resolver's answers are handed on as they are.
May not: know what is asked.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterable
from typing import Any, Final

from appliance.net.answers import Answer, Found, Resolver, Temporary
from data.reason import Reason

LOOKUP: Final = 5.0
MOST: Final = 150

Question = tuple[str, str]
"""A name and a type: TXT, A, AAAA, MX, PTR."""


class Names:
    """Made on the loop for one message; `deadline` is a time of that loop."""

    def __init__(self, resolver: Resolver, deadline: float) -> None:
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._known: dict[Question, Answer[Any]] = {}
        self._asked = 0

    async def ahead(self, questions: Iterable[Question]) -> None:
        """Ask these at once, on the loop; the thread finds the answers ready."""
        wanted = [one for one in dict.fromkeys(map(_key, questions)) if one not in self._known]
        await asyncio.gather(*(self._learn(one) for one in wanted))

    def ask(self, name: str, kind: str) -> Answer[Any]:
        """One answer: text as bytes, MX as Mx, everything else in presentation form. Blocks; not for the loop."""
        question = _key((name, kind))
        known = self._known.get(question)
        if known is not None:
            return known
        future = asyncio.run_coroutine_threadsafe(self._learn(question), self._loop)
        try:
            return future.result(max(0.0, self._deadline - self._loop.time()) + 1.0)
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            future.cancel()
            return _late(name)

    def texts(self, name: str) -> Answer[bytes]:
        """The TXT records of a name."""
        return self.ask(name, "TXT")

    async def _learn(self, question: Question) -> Answer[Any]:
        name, kind = question
        left = self._deadline - self._loop.time()
        self._asked += 1
        if left <= 0 or self._asked > MOST:
            return _late(name)
        try:
            async with asyncio.timeout(min(LOOKUP, left)):
                answer = await self._put(name, kind)
        except TimeoutError:
            answer = _late(name)
        self._known[question] = answer
        return answer

    async def _put(self, name: str, kind: str) -> Answer[Any]:
        match kind:
            case "TXT":
                return await self._resolver.txt(name)
            case "MX":
                return await self._resolver.mx(name)
            case _:
                return await self._resolver.query(name, kind)


def _key(question: Question) -> Question:
    name, kind = question
    return name.rstrip(".").lower(), kind


def _late(name: str) -> Temporary:
    return Temporary(Reason("dns.timeout", {"name": name[:255]}))


def is_there(answer: Answer[Any]) -> bool:
    """Whether records were found."""
    return isinstance(answer, Found)
