"""The client's side of an SMTP session, sans-io: server octets in, events out (RFC 5321, RFC 2920, RFC 3207, RFC 3461).

`feed` returns what the driver has to do: write octets, begin TLS, stream a body, note results. The driver tells of what
it did by `begin`, `tls_started`, `body_sent`, `quit` and `lost`. One session carries any number of messages, one after
the other. The whole fed at once and octet by octet give the same events.

Promises: every recipient of every envelope gets exactly one Result, whatever the server says or leaves unsaid; octets
that come between the 220 to STARTTLS and the handshake end the session (an injected reply is never read as one under
TLS); what was learned before TLS is forgotten.
May not: open sockets, read clocks, decide where to go next.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from collections.abc import Callable, Iterator

from data.reason import Reason
from smtp.queue.events import (
    Broken,
    Closed,
    Done,
    Envelope,
    Event,
    Problem,
    Ready,
    Result,
    SendBody,
    Stage,
    Tls,
    UpgradeTls,
    Write,
)
from smtp.queue.hop import Login
from smtp.queue.login import Exchange, Unlikely, choose
from smtp.queue.replies import Malformed, Replies, Reply

_OnReply = Callable[[Reply], None]
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class Dialogue:
    """One session with one server. `name` is ours, for EHLO; `own_name_is_loop`: a server that greets with it is us;
    `login` is told to a server that proved its name under TLS, and to nobody else."""

    def __init__(
        self, name: str, *, tls: Tls = Tls.OFFERED, own_name_is_loop: bool = True, login: Login | None = None
    ) -> None:
        self._name = name
        self._tls = tls
        self._login = login
        self._loop_check = own_name_is_loop
        self._replies = Replies()
        self._events: list[Event] = []
        self._expected: deque[tuple[Stage, _OnReply]] = deque([(Stage.GREETING, self._greeted)])
        self._envelope: Envelope | None = None
        self._results: list[Result | None] = []
        self._upgrading = False
        self._over = False
        self.extensions: dict[str, str] = {}
        self.secure = False
        self.verified = False

    @property
    def stage(self) -> Stage:
        """What is awaited from the server."""
        if self._over:
            return Stage.OVER
        if self._upgrading:
            return Stage.STARTTLS
        if self._expected:
            return self._expected[0][0]
        return Stage.BODY if self._envelope is not None else Stage.IDLE

    # --- what the driver tells --------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[Event]:
        """Octets from the server."""
        if self._over or not data:
            return self._taken()
        if self._upgrading:
            self._inject()
            return self._taken()
        self._replies.feed(data)
        try:
            while not self._over and not self._upgrading and (reply := self._replies.next()) is not None:
                self._reply(reply)
        except Malformed as error:
            self._break("queue.malformed", why=error.why)
        return self._taken()

    def tls_started(self, *, verified: bool = False) -> list[Event]:
        """The handshake is done; everything the server said before is forgotten (RFC 3207 §4.2). `verified`: the server
        proved its name. Where TLS comes first, the greeting is still to come."""
        self.secure, self.verified = True, verified
        if self._tls is Tls.FIRST:
            return self._taken()
        self._upgrading = False
        self.extensions = {}
        self._replies = Replies()
        self._command(Stage.EHLO, f"EHLO {self._name}", self._extended)
        return self._taken()

    def begin(self, envelope: Envelope) -> list[Event]:
        """Send a message; only after Ready."""
        assert not self._expected and self._envelope is None and not self._over
        self._envelope = envelope
        self._results = [None] * len(envelope.recipients)
        problem = self._obstacle(envelope)
        if problem is not None:
            self._apply(problem)
            self._finish(clean=True)
            return self._taken()
        self._mail(envelope)
        return self._taken()

    def body_sent(self) -> list[Event]:
        """The final dot is on its way."""
        self._expected.append((Stage.FINAL, self._final))
        return self._taken()

    def quit(self) -> list[Event]:
        """Take leave; only after Ready."""
        if not self._over:
            self._command(Stage.QUIT, "QUIT", lambda reply: self._close())
        return self._taken()

    def lost(self, code: str = "queue.lost", *, permanent: bool = False) -> list[Event]:
        """The connection ended, a time limit passed, or the message turned out to be unfit to be sent."""
        if not self._over:
            if self.stage is Stage.QUIT:
                self._close()
            else:
                self._end(Problem(Reason(code, {"stage": self.stage.value}), permanent))
        return self._taken()

    # --- opening ----------------------------------------------------------------------------------------------------

    def _greeted(self, reply: Reply) -> None:
        if reply.code != 220:
            # RFC 7504 §3: 521 says that this host takes no mail, now or later
            self._fail("queue.greeting", reply, permanent=reply.code == 521)
        elif self._loop_check and reply.lines[0].partition(" ")[0].lower() == self._name.lower():
            self._fail("queue.loop", reply, permanent=True)
        else:
            self._command(Stage.EHLO, f"EHLO {self._name}", self._extended)

    def _extended(self, reply: Reply) -> None:
        if reply.code == 250:
            self.extensions = _extensions(reply)
            self._secure_or_ready()
        elif reply.permanent and not self.secure:
            # RFC 5321 §3.2: a server without EHLO is greeted with HELO
            self._command(Stage.EHLO, f"HELO {self._name}", self._greeted_plainly)
        else:
            self._fail("queue.ehlo", reply)

    def _greeted_plainly(self, reply: Reply) -> None:
        if reply.code == 250:
            self._secure_or_ready()
        else:
            self._fail("queue.ehlo", reply)

    def _secure_or_ready(self) -> None:
        wanted = self._tls in (Tls.OFFERED, Tls.REQUIRED) and not self.secure
        if wanted and "STARTTLS" in self.extensions:
            self._command(Stage.STARTTLS, "STARTTLS", self._tls_answered)
        elif wanted and self._tls is Tls.REQUIRED:
            self._break("queue.tls.missing")
        else:
            self._signed_in_or_ready()

    def _tls_answered(self, reply: Reply) -> None:
        if reply.code != 220 and self._tls is Tls.REQUIRED:
            self._fail("queue.tls.refused", reply)
            return
        if reply.code != 220:
            # the envelope has not been told yet: opportunistic TLS goes on without
            self._signed_in_or_ready()
            return
        self._upgrading = True
        if self._replies.empty:
            self._events.append(UpgradeTls())
        else:
            self._inject()

    def _inject(self) -> None:
        """Octets in the clear after the 220 to STARTTLS: somebody on the way answers for the server."""
        self._upgrading = False
        self._break("queue.tls.injection")

    # --- signing in -------------------------------------------------------------------------------------------------

    def _signed_in_or_ready(self) -> None:
        if self._login is None:
            self._events.append(Ready())
        elif not (self.secure and self.verified):
            self._break("queue.auth.insecure")
        elif (exchange := choose(self.extensions.get("AUTH", ""), self._login)) is None:
            self._break("queue.auth.mechanism")
        else:
            first = exchange.begin()
            initial = "" if first is None else " " + _base64(first)
            self._command(Stage.AUTH, f"AUTH {exchange.name}{initial}", lambda reply: self._asked(exchange, reply))

    def _asked(self, exchange: Exchange, reply: Reply) -> None:
        """One step of the exchange (RFC 4954 §4). A refusal is for our administrator to mend: nobody's mail fails by it."""
        if reply.code == 235 and exchange.accepted():
            self._events.append(Ready())
        elif reply.code != 334:
            self._fail("queue.auth.refused" if reply.code != 235 else "queue.auth.unproven", reply)
        else:
            try:
                challenge = base64.b64decode(reply.lines[0] if reply.lines else "", validate=True)
                answer = exchange.answer(challenge)
            except (binascii.Error, ValueError, Unlikely):
                self._break("queue.auth.unproven")
                return
            self._command(Stage.AUTH, _base64(answer), lambda reply: self._asked(exchange, reply))

    # --- a transaction ----------------------------------------------------------------------------------------------

    def _obstacle(self, envelope: Envelope) -> Problem | None:
        """What the server's extensions rule out before a word is said."""
        have = self.extensions
        if any(_UNSAFE.search(word) for word in _words(envelope)):
            return Problem(Reason("queue.envelope"), permanent=True)
        if envelope.requiretls and not (self.verified and "REQUIRETLS" in have):
            # RFC 8689 §4.2.1: an authenticated server that promises to do the same
            return Problem(Reason("queue.requiretls"), permanent=True)
        if envelope.smtputf8 and "SMTPUTF8" not in have:
            return Problem(Reason("queue.smtputf8"), permanent=True)
        if envelope.eightbit and "8BITMIME" not in have:
            return Problem(Reason("queue.8bitmime"), permanent=True)
        limit = have.get("SIZE", "")
        if limit.isascii() and limit.isdigit() and 0 < int(limit[:15]) < envelope.size:
            return Problem(Reason("queue.size", {"limit": int(limit[:15]), "size": envelope.size}), permanent=True)
        return None

    def _mail(self, envelope: Envelope) -> None:
        batched = "PIPELINING" in self.extensions
        mail = f"MAIL FROM:<{envelope.return_path}>" + self._mail_parameters(envelope)
        self._command(Stage.MAIL, mail, self._mailed if not batched else self._mailed_in_group)
        if batched:
            for index in range(len(envelope.recipients)):
                self._rcpt(index)
            self._command(Stage.DATA, "DATA", self._data)

    def _mail_parameters(self, envelope: Envelope) -> str:
        have, words = self.extensions, []
        if "SIZE" in have:
            words.append(f"SIZE={envelope.size}")
        if envelope.eightbit:
            words.append("BODY=8BITMIME")
        if envelope.smtputf8:
            words.append("SMTPUTF8")
        if envelope.requiretls:
            words.append("REQUIRETLS")
        if "DSN" in have:
            words += [f"RET={envelope.ret}"] if envelope.ret else []
            words += [f"ENVID={envelope.envid}"] if envelope.envid else []
        return "".join(" " + word for word in words)

    def _rcpt(self, index: int) -> None:
        assert self._envelope is not None
        to = self._envelope.recipients[index]
        words = ""
        if "DSN" in self.extensions:
            words += f" NOTIFY={to.notify}" if to.notify else ""
            words += f" ORCPT={to.orcpt}" if to.orcpt else ""
        self._command(Stage.RCPT, f"RCPT TO:<{to.address}>{words}", lambda reply: self._recipient(index, reply))

    def _mailed_in_group(self, reply: Reply) -> None:
        if not reply.positive:
            self._apply(_refusal("queue.mail", reply))

    def _mailed(self, reply: Reply) -> None:
        if reply.positive:
            self._rcpt(0)
        else:
            self._apply(_refusal("queue.mail", reply))
            self._finish(clean=True)

    def _recipient(self, index: int, reply: Reply) -> None:
        if self._results[index] is None and not reply.positive:
            problem = _refusal("queue.rcpt", reply, permanent=_permanent_for_rcpt(reply))
            self._results[index] = Result(problem, reply)
        if self._expected:
            return
        if index + 1 < len(self._results):
            self._rcpt(index + 1)
        elif None in self._results:
            self._command(Stage.DATA, "DATA", self._data)
        else:
            self._finish(clean=False)

    def _data(self, reply: Reply) -> None:
        if reply.code == 354 and None in self._results:
            self._events.append(SendBody())
        elif reply.code == 354:
            # every recipient was refused but DATA was accepted: an empty message, whose reply means nothing
            self._events.append(Write(b".\r\n"))
            self._expected.append((Stage.FINAL, lambda _: self._finish(clean=True)))
        else:
            self._apply(_refusal("queue.data", reply))
            self._finish(clean=False)

    def _final(self, reply: Reply) -> None:
        if reply.positive:
            taken = Result(None, reply, dsn="DSN" in self.extensions)
            self._results = [taken if result is None else result for result in self._results]
        else:
            self._apply(_refusal("queue.final", reply))
        self._finish(clean=True)

    def _apply(self, problem: Problem) -> None:
        """The problem of everybody whose fate is open."""
        fate = Result(problem, problem.reply)
        self._results = [fate if result is None else result for result in self._results]

    def _finish(self, *, clean: bool) -> None:
        """The transaction is over; an unclean one leaves an envelope with the server that RSET takes back."""
        self._settle()
        if clean:
            self._events.append(Ready())
        else:
            self._command(Stage.RESET, "RSET", lambda reply: self._events.append(Ready()))

    def _settle(self) -> None:
        self._envelope = None
        results, self._results = self._results, []
        assert None not in results
        self._events.append(Done(tuple(result for result in results if result is not None)))

    # --- plumbing ---------------------------------------------------------------------------------------------------

    def _command(self, stage: Stage, line: str, on_reply: _OnReply) -> None:
        data = line.encode("utf-8") + b"\r\n"
        last = self._events[-1] if self._events else None
        if isinstance(last, Write):
            # one segment for a group of commands (RFC 2920 §3.1)
            self._events[-1] = Write(last.data + data)
        else:
            self._events.append(Write(data))
        self._expected.append((stage, on_reply))

    def _reply(self, reply: Reply) -> None:
        if reply.code == 421:
            # RFC 5321 §3.8: the server may say it at any time, and closes
            self._fail("queue.closing", reply)
        elif self._expected:
            self._expected.popleft()[1](reply)
        else:
            self._unasked(reply)

    def _unasked(self, reply: Reply) -> None:
        """A word out of turn; a refusal while the body is on its way is meant for the message."""
        if self._envelope is not None and not reply.positive:
            self._apply(_refusal("queue.final", reply))
        self._break("queue.malformed", why="unasked")

    def _fail(self, code: str, reply: Reply, *, permanent: bool = False) -> None:
        self._end(Problem(Reason(code, {"code": reply.code}), permanent, reply))

    def _break(self, code: str, **params: str | int) -> None:
        self._end(Problem(Reason(code, params), permanent=False))

    def _end(self, problem: Problem) -> None:
        if self._envelope is not None:
            self._apply(problem)
            self._settle()
        self._over = True
        self._expected.clear()
        self._events.append(Broken(problem))

    def _close(self) -> None:
        self._over = True
        self._events.append(Closed())

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def _extensions(reply: Reply) -> dict[str, str]:
    """Keyword and parameters of each line of an EHLO reply but the first (RFC 5321 §4.1.1.1)."""
    pairs = (line.partition(" ") for line in reply.lines[1:])
    return {keyword.upper(): rest.strip() for keyword, _, rest in pairs if keyword}


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _words(envelope: Envelope) -> Iterator[str]:
    """Everything of an envelope that becomes part of a command line."""
    yield from (envelope.return_path, envelope.envid or "", envelope.ret or "")
    for to in envelope.recipients:
        yield from (to.address, to.notify or "", to.orcpt or "")


def _refusal(code: str, reply: Reply, *, permanent: bool | None = None) -> Problem:
    final = reply.permanent if permanent is None else permanent
    return Problem(Reason(code, {"code": reply.code}), final, reply)


def _permanent_for_rcpt(reply: Reply) -> bool:
    """552 to RCPT means "too many recipients" unless it says otherwise: temporary (RFC 5321 §4.5.3.1.10)."""
    if reply.code == 552:
        return reply.enhanced is not None and reply.enhanced != "5.5.3"
    return reply.permanent
