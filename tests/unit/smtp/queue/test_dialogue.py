"""The SMTP client against servers of every temper, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp.queue.dialogue import Dialogue
from smtp.queue.events import (
    Broken,
    Closed,
    Done,
    Envelope,
    Event,
    Ready,
    Result,
    SendBody,
    Stage,
    Tls,
    To,
    UpgradeTls,
    Write,
)

EHLO = b"250-mx.example.org at your service\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 1000000\r\n250 DSN\r\n"
BARE = b"250 mx.example.org\r\n"
ONE = Envelope("ann@example.test", (To("bob@example.org"),), 100)
THREE = Envelope("ann@example.test", tuple(To(f"{n}@example.org") for n in "bcd"), 100)


@dataclass
class Server:
    """Answers each command line by the first word that fits; `said` is what the client sent."""

    answers: dict[str, bytes]
    said: list[str] = field(default_factory=list)

    def answer(self, data: bytes) -> bytes:
        """The replies to a group of commands."""
        return b"".join(self._one(line) for line in data.decode().splitlines())

    def _one(self, line: str) -> bytes:
        self.said.append(line)
        fits = [start for start in self.answers if line.startswith(start)]
        return self.answers[max(fits, key=len)] if fits else b"250 ok\r\n"


@dataclass
class Run:
    """A driver: plays one session of `envelopes` against a server, `cut` splitting what the server says."""

    dialogue: Dialogue
    server: Server
    envelopes: list[Envelope]
    cut: Callable[[bytes], Iterable[bytes]] = lambda data: [data]
    seen: list[Event] = field(default_factory=list)

    def play(self, greeting: bytes = b"220 mx.example.org ESMTP\r\n") -> Run:
        """From the greeting to the end."""
        self._hear(greeting)
        return self

    def _hear(self, data: bytes) -> None:
        for piece in self.cut(data):
            self._act(self.dialogue.feed(piece))

    def _act(self, events: list[Event]) -> None:
        for event in events:
            self.seen.append(event)
            match event:
                case Write(data):
                    self._hear(self.server.answer(data))
                case UpgradeTls():
                    self._act(self.dialogue.tls_started())
                case Ready():
                    self._act(self.dialogue.begin(self.envelopes.pop(0)) if self.envelopes else self.dialogue.quit())
                case SendBody():
                    self._act(self.dialogue.body_sent())
                    self._hear(self.server.answers.get(".", b"250 2.0.0 taken\r\n"))
                case _:
                    pass

    @property
    def results(self) -> list[Result]:
        return [result for event in self.seen if isinstance(event, Done) for result in event.results]

    @property
    def codes(self) -> list[str | None]:
        return [r.problem.reason.code if r.problem else None for r in self.results]

    @property
    def broken(self) -> Broken | None:
        return next((event for event in self.seen if isinstance(event, Broken)), None)


def run(
    answers: dict[str, bytes],
    *envelopes: Envelope,
    tls: Tls = Tls.OFFERED,
    greeting: bytes = b"220 mx.example.org ESMTP\r\n",
) -> Run:
    answers = {"EHLO": EHLO, "DATA": b"354 go\r\n", "QUIT": b"221 bye\r\n"} | answers
    return Run(Dialogue("mail.example.test", tls=tls), Server(answers), list(envelopes or (ONE,))).play(greeting)


def bytewise(data: bytes) -> Iterable[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def test_a_plain_session() -> None:
    """Without extensions: one command at a time, no parameters."""
    played = run({"EHLO": BARE}, THREE)
    assert played.server.said == [
        "EHLO mail.example.test",
        "MAIL FROM:<ann@example.test>",
        "RCPT TO:<b@example.org>",
        "RCPT TO:<c@example.org>",
        "RCPT TO:<d@example.org>",
        "DATA",
        "QUIT",
    ]
    assert played.codes == [None, None, None]
    assert isinstance(played.seen[-1], Closed)


def test_a_pipelined_session_is_one_segment_per_group() -> None:
    """RFC 2920: MAIL, all RCPT and DATA leave together."""
    played = run({}, THREE)
    groups = [event.data.decode().split("\r\n")[:-1] for event in played.seen if isinstance(event, Write)]
    assert [len(group) for group in groups] == [1, 5, 1]
    assert groups[1][0] == "MAIL FROM:<ann@example.test> SIZE=100"
    assert groups[1][-1] == "DATA"


@pytest.mark.parametrize("ehlo", [EHLO, BARE])
def test_results_are_per_recipient(ehlo: bytes) -> None:
    """A refusal, a deferral and a delivery in one transaction; the final reply is the delivered one's only."""
    played = run(
        {"EHLO": ehlo, "RCPT TO:<b@": b"550 5.1.1 no such user\r\n", "RCPT TO:<c@": b"450 4.2.0 later\r\n"}, THREE
    )
    problems = [r.problem for r in played.results]
    assert [p.permanent if p else None for p in problems] == [True, False, None]
    assert [r.reply.text if r.reply else None for r in played.results] == [
        "550 5.1.1 no such user",
        "450 4.2.0 later",
        "250 2.0.0 taken",
    ]


@pytest.mark.parametrize("ehlo", [EHLO, BARE])
@pytest.mark.parametrize("data", [b"354 go\r\n", b"554 5.5.1 no valid recipients\r\n"])
def test_all_recipients_refused_sends_no_message(ehlo: bytes, data: bytes) -> None:
    """Whatever DATA says then, no body is streamed, and the session goes on to the next message."""
    played = run({"EHLO": ehlo, "DATA": data, "RCPT TO:<b": b"550 no\r\n"}, ONE, ONE)
    assert not any(isinstance(event, SendBody) for event in played.seen)
    assert played.codes == ["queue.rcpt", "queue.rcpt"]
    assert isinstance(played.seen[-1], Closed)


@pytest.mark.parametrize("ehlo", [EHLO, BARE])
def test_mail_refused(ehlo: bytes) -> None:
    """The reply to MAIL is everybody's; what follows in the group changes nothing."""
    played = run({"EHLO": ehlo, "MAIL": b"452 4.3.1 disk\r\n", "RCPT": b"503 mail first\r\n", "DATA": b"503 no\r\n"})
    assert played.codes == ["queue.mail"]
    assert played.results[0].problem and not played.results[0].problem.permanent


@pytest.mark.parametrize(
    ("reply", "permanent"),
    [
        (b"552 too many recipients\r\n", False),
        (b"552 5.5.3 too many\r\n", False),
        (b"552 5.2.2 mailbox full\r\n", True),
        (b"452 4.5.3 too many\r\n", False),
        (b"550 no\r\n", True),
    ],
)
def test_too_many_recipients_is_temporary(reply: bytes, permanent: bool) -> None:
    """RFC 5321 §4.5.3.1.10."""
    played = run({"RCPT": reply})
    assert played.results[0].problem is not None
    assert played.results[0].problem.permanent is permanent


@pytest.mark.parametrize(("final", "permanent"), [(b"554 5.7.1 spam\r\n", True), (b"451 4.7.1 greylisted\r\n", False)])
def test_the_reply_to_the_final_dot(final: bytes, permanent: bool) -> None:
    """It decides for everybody who was accepted."""
    played = run({".": final}, THREE)
    assert played.codes == ["queue.final"] * 3
    assert {r.problem.permanent for r in played.results if r.problem} == {permanent}


def test_helo_when_ehlo_is_unknown() -> None:
    """RFC 5321 §3.2; the session has no extensions then."""
    played = run({"EHLO": b"502 5.5.1 unknown\r\n", "HELO": b"250 hello\r\n"})
    assert played.server.said[:3] == [
        "EHLO mail.example.test",
        "HELO mail.example.test",
        "MAIL FROM:<ann@example.test>",
    ]
    assert played.codes == [None]


@pytest.mark.parametrize(
    ("greeting", "code", "permanent"),
    [
        (b"421 4.3.2 busy\r\n", "queue.closing", False),
        (b"554 5.7.1 go away\r\n", "queue.greeting", False),
        (b"521 no mail here\r\n", "queue.greeting", True),
        (b"220 mail.example.test ESMTP\r\n", "queue.loop", True),
        (b"HTTP/1.1 400 Bad Request\r\n", "queue.malformed", False),
        (b"250 hm\r\n", "queue.greeting", False),
    ],
)
def test_bad_greetings(greeting: bytes, code: str, permanent: bool) -> None:
    """The session ends before an envelope is told; our own name in the greeting is a loop."""
    played = run({}, greeting=greeting)
    assert played.broken is not None
    assert (played.broken.problem.reason.code, played.broken.problem.permanent) == (code, permanent)
    assert played.server.said == []


def test_starttls() -> None:
    """Taken when offered; EHLO again; what was learned in the clear is gone."""
    played = run({})
    assert "STARTTLS" not in played.server.said
    offered = {"EHLO": b"250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n"}
    server = Server(offered | {"DATA": b"354 go\r\n"})
    dialogue = Dialogue("mail.example.test")
    played = Run(dialogue, server, [ONE])

    def answer(data: bytes) -> bytes:
        if dialogue.secure:
            server.answers["EHLO"] = b"250-mx\r\n250 DSN\r\n"
        return Server.answer(server, data)

    server.answer = answer  # type: ignore[method-assign]
    played.play()
    assert server.said[:4] == [
        "EHLO mail.example.test",
        "STARTTLS",
        "EHLO mail.example.test",
        "MAIL FROM:<ann@example.test>",
    ]
    assert played.codes == [None], "SIZE 1 was said in the clear and must not count"


def test_starttls_refused_goes_on_in_the_clear() -> None:
    """Opportunistic: the envelope has not been told yet."""
    played = run({"EHLO": b"250-mx\r\n250 STARTTLS\r\n", "STARTTLS": b"454 4.7.0 not now\r\n"})
    assert played.codes == [None]
    assert not played.dialogue.secure


def test_starttls_not_asked_when_told_never() -> None:
    """After a failed handshake the driver comes back without."""
    played = run({"EHLO": b"250-mx\r\n250 STARTTLS\r\n"}, tls=Tls.NEVER)
    assert "STARTTLS" not in played.server.said


@pytest.mark.parametrize("cut", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
@pytest.mark.parametrize("extra", [b"250 fake\r\n", b"2", b"\r\n", b"250-mx\r\n250 SIZE\r\n"])
def test_T3_octets_after_220_abort(extra: bytes, cut: Callable[[bytes], Iterable[bytes]]) -> None:
    """Octets in the clear between 220 and the handshake: the session ends, nothing is sent, nothing is believed."""
    server = Server({"EHLO": b"250-mx\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n" + extra})
    dialogue = Dialogue("mail.example.test")
    # the handshake is not answered here: the octets are there before it can begin
    seen: list[Event] = []
    todo = dialogue.feed(b"220 mx\r\n")
    while todo:
        event = todo.pop(0)
        seen.append(event)
        if isinstance(event, Write):
            for piece in cut(server.answer(event.data)):
                todo += dialogue.feed(piece)
    assert isinstance(seen[-1], Broken)
    assert seen[-1].problem.reason.code == "queue.tls.injection"
    assert dialogue.stage is Stage.OVER
    assert server.said == ["EHLO mail.example.test", "STARTTLS"]


def test_dsn_parameters_only_where_offered() -> None:
    """RFC 3461: RET and ENVID at MAIL, NOTIFY and ORCPT at RCPT; the result says who reports from now on."""
    full = Envelope(
        "ann@example.test",
        (To("bob@example.org", "SUCCESS,FAILURE", "rfc822;Bob+40example.org"),),
        10,
        envid="QQ314159",
        ret="HDRS",
    )
    said = run({}, full)
    assert "MAIL FROM:<ann@example.test> SIZE=10 RET=HDRS ENVID=QQ314159" in said.server.said
    assert "RCPT TO:<bob@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+40example.org" in said.server.said
    assert said.results[0].dsn
    plain = run({"EHLO": BARE}, full)
    assert plain.server.said[1:3] == ["MAIL FROM:<ann@example.test>", "RCPT TO:<bob@example.org>"]
    assert not plain.results[0].dsn


@pytest.mark.parametrize(
    ("envelope", "ehlo", "code"),
    [
        (Envelope("a@example.test", (To("b@example.org"),), 2_000_000), EHLO, "queue.size"),
        (Envelope("a@example.test", (To("b@example.org"),), 1, smtputf8=True), EHLO, "queue.smtputf8"),
        (Envelope("a@example.test", (To("b@example.org"),), 1, eightbit=True), BARE, "queue.8bitmime"),
        (Envelope("a@example.test", (To("b@example.org"),), 1, requiretls=True), EHLO, "queue.requiretls"),
        (Envelope("a@example.test", (To("b@example.org>\r\nRSET"),), 1), EHLO, "queue.envelope"),
        (Envelope("a@example.test", (To("b@example.org", orcpt="rfc822;x\ny"),), 1), EHLO, "queue.envelope"),
    ],
)
def test_what_the_server_cannot_take_is_not_begun(envelope: Envelope, ehlo: bytes, code: str) -> None:
    """Failed without a word of the envelope on the wire, and the session goes on."""
    played = run({"EHLO": ehlo}, envelope, ONE)
    assert played.codes == [code, None]
    assert played.results[0].problem and played.results[0].problem.permanent
    assert sum(line.startswith("MAIL") for line in played.server.said) == 1


def test_eightbit_and_utf8_are_said() -> None:
    """BODY=8BITMIME and SMTPUTF8 where they are offered."""
    played = run(
        {"EHLO": b"250-mx\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"},
        Envelope("a@example.test", (To("用户@example.org"),), 1, eightbit=True, smtputf8=True),
    )
    assert "MAIL FROM:<a@example.test> BODY=8BITMIME SMTPUTF8" in played.server.said
    assert "RCPT TO:<用户@example.org>" in played.server.said


@pytest.mark.parametrize("stage", ["EHLO", "MAIL", "RCPT", "DATA", "."])
def test_421_anywhere_ends_the_session(stage: str) -> None:
    """Everybody whose fate is open is tried again."""
    played = run({stage: b"421 4.3.2 closing\r\n", "EHLO": BARE} | ({} if stage != "EHLO" else {"EHLO": b"421 no\r\n"}))
    assert played.broken is not None
    assert played.broken.problem.reason.code == "queue.closing"
    assert played.codes == ([] if stage == "EHLO" else ["queue.closing"])


def test_lost_in_the_middle_keeps_what_was_said() -> None:
    """A refused recipient stays refused; the others are tried again."""
    dialogue = Dialogue("mail.example.test")
    dialogue.feed(b"220 mx\r\n")
    dialogue.feed(BARE)
    dialogue.begin(THREE)
    dialogue.feed(b"250 ok\r\n")
    dialogue.feed(b"550 5.1.1 no\r\n")
    events = dialogue.lost("queue.timeout")
    done = next(event for event in events if isinstance(event, Done))
    assert [r.problem.reason.code for r in done.results if r.problem] == [
        "queue.rcpt",
        "queue.timeout",
        "queue.timeout",
    ]
    assert isinstance(events[-1], Broken)
    assert dialogue.lost() == []


def test_a_refusal_while_the_body_is_on_its_way() -> None:
    """Some servers do not wait for the final dot to say no; that word counts."""
    dialogue = Dialogue("mail.example.test")
    for data in (b"220 mx\r\n", EHLO):
        dialogue.feed(data)
    dialogue.begin(ONE)
    assert any(isinstance(e, SendBody) for e in dialogue.feed(b"250 ok\r\n250 ok\r\n354 go\r\n"))
    assert dialogue.stage is Stage.BODY
    events = dialogue.feed(b"552 5.3.4 too big\r\n")
    assert isinstance(events[0], Done)
    assert events[0].results[0].problem and events[0].results[0].problem.permanent
    assert isinstance(events[-1], Broken)


def test_replies_are_bounded() -> None:
    """An endless line, an endless reply and codes that change inside one end the session."""
    for flood in (b"250" + b"-" * 10_000, b"250-x\r\n" * 1000, b"250-a\r\n550 b\r\n", b"999 x\r\n", b"25\r\n"):
        dialogue = Dialogue("mail.example.test")
        dialogue.feed(b"220 mx\r\n")
        assert any(isinstance(event, Broken) for event in dialogue.feed(flood)), flood[:10]


def test_reply_text_is_one_clean_line() -> None:
    """Escapes and bad octets of a hostile server do not reach rows and logs."""
    played = run({"RCPT": b"550-5.1.1 \x1b[31mno\xff\r\n550 5.1.1\tuser\r\n"})
    reply = played.results[0].reply
    assert reply is not None
    assert reply.text == "550 5.1.1  [31mno\\xff 5.1.1 user"
    assert reply.enhanced == "5.1.1"


_CODES = st.sampled_from([b"220", b"250", b"354", b"421", b"450", b"452", b"500", b"550", b"552", b"554"])
_REPLY = st.builds(
    lambda code, more: code + b"-x\r\n" * more + (code if more else b"") + b" y\r\n", _CODES, st.booleans()
)


def _merged(events: list[Event]) -> list[Event]:
    """Adjacent writes as one: how the octets are grouped into segments is not part of the meaning."""
    merged: list[Event] = []
    for event in events:
        if isinstance(event, Write) and merged and isinstance(merged[-1], Write):
            merged[-1] = Write(merged[-1].data + event.data)
        else:
            merged.append(event)
    return merged


@given(
    answers=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("HELO", "MAIL", "RCPT TO:<b", "RCPT", "DATA", "RSET", ".", "QUIT"), _REPLY)
    ),
    ehlo=st.sampled_from([EHLO, BARE, b"502 what\r\n", b"250-mx\r\n250 STARTTLS\r\n", b"421 no\r\n"]),
)
def test_whole_equals_octet_by_octet(answers: dict[str, bytes], ehlo: bytes) -> None:
    """How the server's octets are cut changes nothing."""
    answers = {"EHLO": ehlo, "STARTTLS": b"220 go\r\n", "DATA": b"354 go\r\n"} | answers
    runs = [
        Run(Dialogue("mail.example.test"), Server(dict(answers)), [THREE, ONE], cut)
        for cut in (lambda data: [data], bytewise)
    ]
    whole, cut = (played.play() for played in runs)
    assert whole.results == cut.results
    assert whole.server.said == cut.server.said
    assert _merged(whole.seen) == _merged(cut.seen)


@given(st.lists(st.one_of(st.binary(max_size=40), _REPLY), max_size=30), st.booleans())
def test_every_recipient_gets_one_result(noise: list[bytes], gone: bool) -> None:
    """Whatever is said: once a transaction has begun and the session ended, each recipient has exactly one result."""
    dialogue = Dialogue("mail.example.test")
    for data in (b"220 mx\r\n", EHLO):
        dialogue.feed(data)
    events = dialogue.begin(THREE)
    for data in noise:
        found = dialogue.feed(data)
        events += found
        if any(isinstance(event, SendBody) for event in found) and dialogue.stage is Stage.BODY:
            events += dialogue.body_sent()
    events += dialogue.lost("queue.timeout" if gone else "queue.lost")
    assert sum(len(event.results) for event in events if isinstance(event, Done)) == 3
