"""Training by moves: what people move into and out of Junk is counted, in the background.

Promises: a move was noted in its own transaction (data.store.learning), so nothing is forgotten when the server stops;
a message counts once. Work in small steps off the loop. May not: move mail.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from appliance.log import Log
from appliance.loop import Workers
from data.clock import DAY, Clock
from data.disk.db import Tx
from data.errors import StoreError
from data.ids import Millis
from data.mime.part import LayoutError, decode_layout
from data.mime.scanner import scan
from data.store import correspondents, learning
from data.store.changes import Change, ChangeBus, Taught
from data.store.learning import Lesson
from data.store.messages import Messages
from smtp.policy.bayes import hashed
from smtp.policy.content import Look, look
from smtp.screening.knowledge import Knowledge

_HEADER_MOST = 100 * 1024


@dataclass(frozen=True, slots=True)
class Trainer:
    """Learns from what was noted. Blocks."""

    knowledge: Knowledge
    messages: Messages

    def step(self, most: int = 10) -> int:
        """Train some of what waits; how many there were."""
        with self.knowledge.db.read() as reader:
            waiting = learning.lessons(reader, most)
        for lesson in waiting:
            self._learn(lesson)
        return len(waiting)

    def _learn(self, lesson: Lesson) -> None:
        looked = self._looked(lesson)
        if looked is None:
            self.knowledge.db.write(lambda tx: learning.skip_in(tx, lesson))
            return
        key = self.knowledge.word_key(lesson.account)
        words = [hashed(word, key) for word in looked.words]

        def op(tx: Tx) -> None:
            before = learning.learn_in(tx, lesson, words)
            if before is None:
                return
            junked = int(lesson.spam) - (1 if before == 1 else 0)
            wanted = int(not lesson.spam) - (1 if before == 0 else 0)
            correspondents.count_in(
                tx, lesson.account, lesson.organisation, [looked.author], junked=junked, wanted=wanted
            )

        self.knowledge.db.write(op)

    def _looked(self, lesson: Lesson) -> Look | None:
        if lesson.blob is None or lesson.layout is None:
            return None
        try:
            content = self.messages.content(lesson.blob)
            root = decode_layout(lesson.layout)
            header = scan(content.read(0, min(root.body_start, _HEADER_MOST))).header
            return look(header, root, content.read)
        except (StoreError, LayoutError):
            return None

    def tidy(self) -> None:
        """Forget what messages were trained as that are no more."""
        self.knowledge.db.write(learning.forget_gone_in)


class Training:
    """The service: learns when something was noted, and at the start what was left."""

    name = "training"

    def __init__(self, trainer: Trainer, bus: ChangeBus, workers: Workers, clock: Clock, log: Log) -> None:
        self._trainer = trainer
        self._workers = workers
        self._clock = clock
        self._log = log
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._leave = bus.subscribe(self._hear)
        self._task: asyncio.Task[None] | None = None
        self._tidied = Millis(0)

    def _hear(self, changes: tuple[Change, ...]) -> None:
        """On the writer's thread."""
        if any(isinstance(one, Taught) for one in changes):
            self._loop.call_soon_threadsafe(self._wake.set)

    async def start(self) -> None:
        """Begin with what is left from before."""
        self._wake.set()
        self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while await self._workers.heavy(self._trainer.step):
                    pass
                await self._tidy()
            except StoreError as error:
                self._log.failure(error, "screen")

    async def _tidy(self) -> None:
        now = self._clock.now()
        if not self._tidied <= now < self._tidied + DAY:
            await self._workers.heavy(self._trainer.tidy)
            self._tidied = now

    async def drain(self, deadline: float) -> None:
        """What is not learned yet is noted."""
        await self.stop()

    async def stop(self) -> None:
        """Learn no more."""
        self._leave()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
