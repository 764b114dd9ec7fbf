"""What was put off: the digest of a suspicious message's envelope, and when it was seen first.

Promises: asked and written in one transaction; old rows go with new ones. May not: decide what is suspicious.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam, delete, insert, select

from data.clock import DAY, HOUR, MINUTE
from data.disk import tables as t
from data.disk.db import Tx
from data.ids import Millis

WAIT = MINUTE
"""How long somebody waits at least before the same is taken (a mail server comes again after some minutes)."""
LIFE = 3 * DAY
_b = bindparam
_g = t.greylist.c
_SEEN = select(_g.at).where(_g.digest == _b("p_digest"))
_PUT = insert(t.greylist).values(digest=_b("digest"), at=_b("now"))
_SWEEP = delete(t.greylist).where(_g.at < _b("before"))


class Greylist:
    """Used on the writer's thread alone."""

    def __init__(self) -> None:
        self._swept = Millis(0)

    def passes_in(self, tx: Tx, digest: bytes) -> bool:
        """Whether the same came long enough ago; else it is noted from now on."""
        if not self._swept <= tx.now < self._swept + HOUR:
            tx.run(_SWEEP, {"before": tx.now - LIFE})
            self._swept = tx.now
        seen = tx.value(_SEEN, {"p_digest": digest})
        if seen is None:
            tx.run(_PUT, {"digest": digest, "now": tx.now})
            return False
        return bool(tx.now - int(seen) >= WAIT)


def digest_of(network: str, sender: str, recipients: tuple[str, ...]) -> bytes:
    """What is the same when a server comes again."""
    words = "\0".join((network, sender.lower(), *sorted(recipients)))
    return hashlib.sha256(words.encode("utf-8", "replace")).digest()[:16]
