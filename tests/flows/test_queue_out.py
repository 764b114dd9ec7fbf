"""Mail out of the spool over real sockets: to a sink, to our own accounts, and back as notifications."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest
from sqlalchemy import update

from data.clock import DAY, HOUR, MINUTE, FakeClock, SystemClock
from data.directory.dkim import RSA, new_pair
from data.directory.settings import Scope
from data.disk import tables as t
from data.ids import ItemId, Millis
from data.reason import Reason
from data.spool.envelope import NewRecipient, State
from smtp.queue.attempt import Limits
from smtp.queue.route import Routes
from tests.instruments.outbound import Outbound, outbound
from tests.instruments.sinkmx import SinkMx


@pytest.fixture
def sink() -> Iterator[SinkMx]:
    with SinkMx() as built:
        yield built


@pytest.fixture
def play(tmp_path: Path, sink: SinkMx) -> Callable[..., None]:
    """Run a scene with a queue whose every way leads to the sink."""

    def run(scene: Callable[[Outbound], Coroutine[Any, Any, None]], **options: Any) -> None:
        async def inside() -> None:
            values = {"routes": Routes(all=("127.0.0.1", sink.port)), **options}
            async with outbound(tmp_path, **values) as out:
                await scene(out)

        asyncio.run(inside())

    return run


def notices(out: Outbound, name: str = "ann") -> list[email.message.EmailMessage]:
    found = (email.message_from_bytes(octets, policy=email.policy.default) for octets in out.inbox(name))
    return [one for one in found if one.get_content_type() == "multipart/report"]


def words(notice: email.message.EmailMessage) -> str:
    return str(next(notice.iter_parts()).get_content())


def test_a_message_leaves_signed(play: Callable[..., None], sink: SinkMx) -> None:
    """Prefix, signature and body arrive as one message; the story says delivered; nothing waits."""
    rsa = new_pair(RSA)

    async def scene(out: Outbound) -> None:
        out.put("bob@example.org", body=b".dot\r\n..two\r\nend\r\n")
        await out.idle()
        (message,) = sink.messages
        assert (message.sender, message.recipients) == ("ann@example.test", ["bob@example.org"])
        assert message.data.startswith(b"DKIM-Signature: v=1; a=rsa-sha256")
        assert message.data.endswith(b"\r\n\r\n.dot\r\n..two\r\nend\r\n")
        record = f"v=DKIM1; k=rsa; p={rsa.public}".encode()
        assert dkim.verify(message.data, dnsfunc=lambda name, timeout: record)
        assert out.waiting() == ()
        assert [hop.event for hop in out.told()] == ["delivered"]
        assert out.told()[0].reason == Reason("queue.sent", {"remote": "127.0.0.1", "reply": "250 2.0.0 taken"})

    play(scene, pairs=(rsa,), clock=SystemClock())


def test_dsn_parameters_travel(play: Callable[..., None], sink: SinkMx) -> None:
    """RET, ENVID, NOTIFY, ORCPT and SIZE reach a hop that offers DSN, which is then the one to report."""

    async def scene(out: Outbound) -> None:
        rcpt = NewRecipient("bob@example.org", "rfc822;bob@example.org", "SUCCESS,DELAY")
        out.put(rcpt, ret="HDRS", envid="E1")
        await out.idle()
        (message,) = sink.messages
        assert message.mail_parameters == f"SIZE={len(message.data)} RET=HDRS ENVID=E1"
        assert message.rcpt_parameters == ["NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob@example.org"]
        assert notices(out) == []

    play(scene)


def test_success_is_reported_when_the_hop_does_not(tmp_path: Path) -> None:
    """A hop without DSN: we say how far we saw it go (RFC 3461 §5.2.2)."""

    async def inside() -> None:
        with SinkMx(offers=("PIPELINING",)) as sink:
            async with outbound(tmp_path, routes=Routes(all=("127.0.0.1", sink.port))) as out:
                out.put(NewRecipient("bob@example.org", notify="SUCCESS"), NewRecipient("carol@example.org"))
                await out.idle()
                (notice,) = notices(out)
                assert notice["Subject"] == "Handed on: Hello"
                assert "carol" not in words(notice)

    asyncio.run(inside())


def test_results_are_per_recipient(play: Callable[..., None], sink: SinkMx) -> None:
    """One item, four fates: each recipient's own; one notification names exactly the refused."""

    async def scene(out: Outbound) -> None:
        out.put("ok@example.org", "reject@example.org", "full@example.org", "greylist@example.org")
        await out.idle()
        assert sink.messages[0].recipients == ["ok@example.org"]
        assert [(one.address, one.state) for one in out.waiting()] == [("greylist@example.org", State.DEFERRED)]
        (notice,) = notices(out)
        text = words(notice)
        assert "reject@example.org" in text
        assert "full@example.org" in text
        assert "ok@example.org" not in text
        assert "The recipient's mailbox is full." in text
        await out.later(1 * MINUTE)
        assert sink.deliveries("<1@example.test>") == {"ok@example.org": 1, "greylist@example.org": 1}
        assert out.waiting() == ()
        assert len(notices(out)) == 1

    play(scene)


def test_a_notification_speaks_the_language_set_for_the_sender(play: Callable[..., None]) -> None:
    """The account's own setting goes before the organisation's, and the setting counts from when it is made."""

    async def scene(out: Outbound) -> None:
        everybody = Scope.organisation(out.directory.organisation().id)
        out.db.write(lambda tx: out.settings.set_in(tx, everybody, "account.language", "zh_CN"))
        out.put("reject@example.org")
        await out.idle()
        assert words(notices(out)[0]).startswith("您的邮件未能送达")
        ann = Scope.account(out.account("ann"))
        out.db.write(lambda tx: out.settings.set_in(tx, ann, "account.language", "en"))
        out.put("reject@example.org", message_id="<2@example.test>")
        await out.idle()
        assert words(notices(out)[1]).startswith("Your message could not be delivered")

    play(scene)


def test_notification_for_a_local_sender(play: Callable[..., None]) -> None:
    """It is in the sender's INBOX, from postmaster, with a null return-path, and tells what to do."""

    async def scene(out: Outbound) -> None:
        out.put("reject@example.org")
        await out.idle()
        (notice,) = notices(out)
        assert notice["Return-Path"] == "<>"
        assert notice["From"] == "Mail delivery <postmaster@example.test>"
        assert notice["Auto-Submitted"] == "auto-replied"
        assert notice["In-Reply-To"] == "<1@example.test>"
        text = words(notice)
        assert "There is no such address at example.org." in text
        assert "Check the address for typing mistakes" in text
        assert "550 5.1.1 no such user here" in text
        returned = list(notice.iter_parts())[2].get_content()
        assert "Hello" in str(returned)
        assert out.states()[State.BOUNCED] == 1
        assert [hop.event for hop in out.told()] == ["failed", "delivered"]

    play(scene)


@pytest.mark.parametrize(
    ("recipient", "sender"),
    [
        (NewRecipient("reject@example.org", notify="NEVER"), None),
        (NewRecipient("reject@example.org", notify="SUCCESS"), None),
        (NewRecipient("reject@example.org"), ""),
        (NewRecipient("reject@example.org", notify="FAILURE"), ""),
    ],
)
def test_no_notification_where_none_is_wanted(
    play: Callable[..., None], recipient: NewRecipient, sender: str | None
) -> None:
    """NOTIFY without FAILURE, and the null return-path always: the failure is told by the story alone."""

    async def scene(out: Outbound) -> None:
        out.put(recipient, return_path=sender)
        await out.idle()
        assert notices(out) == []
        assert out.states() == {State.FAILED: 1}
        assert out.told()[-1].event == "failed"

    play(scene)


def test_ret_full(play: Callable[..., None]) -> None:
    """The whole message comes back when it was asked for and is small."""

    async def scene(out: Outbound) -> None:
        out.put("reject@example.org", ret="FULL", body=b"the whole body\r\n")
        await out.idle()
        (notice,) = notices(out)
        assert b"the whole body" in bytes(notice)

    play(scene)


def test_delay_is_told_once(play: Callable[..., None], sink: SinkMx) -> None:
    """After four hours, in words that ask for nothing; not again; not for NOTIFY without DELAY."""

    async def scene(out: Outbound) -> None:
        out.put(NewRecipient("defer@example.org"), NewRecipient("defer2@example.org", notify="FAILURE"))
        await out.idle()
        for _ in range(10):
            await out.later(1 * HOUR)
        (notice,) = notices(out)
        assert notice["Subject"] == "Not delivered yet: Hello"
        assert "There is nothing you have to do" in " ".join(words(notice).split())
        assert "defer2" not in words(notice)
        assert {one.state for one in out.waiting()} == {State.DEFERRED}

    play(scene)


def test_giving_up_after_five_days(play: Callable[..., None], sink: SinkMx) -> None:
    """Not before; then one notification with the last cause; the schedule is kept all the way."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        out.put("defer@example.org")
        await out.idle()
        started = clock.now()
        while out.waiting():
            (one,) = out.waiting()
            assert one.next_at is not None
            await out.later(one.next_at - clock.now())
        assert 5 * DAY <= clock.now() - started < 5 * DAY + 3 * HOUR
        delay, final = notices(out)
        assert "Not delivered yet" in delay["Subject"]
        assert "tried for 5 days and has given up" in " ".join(words(final).split())
        assert sink.attempts["defer@example.org"] > 50

    play(scene, clock=clock)


@pytest.mark.parametrize("days", [1, -1, 5 * 365, -5 * 365])
def test_G15_clock_jumps_expire_and_stall_nothing(play: Callable[..., None], sink: SinkMx, days: int) -> None:
    """A day and five years, ahead and back, and right again: nothing is returned, nobody is told of a delay, the retry comes."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        out.put("defer@example.org")
        await out.idle()
        for jump in (days, -days):
            tried = sink.attempts["defer@example.org"]
            clock.jump(jump * DAY)
            # housekeeping, each minute of steady time, is what notices a clock that went back
            clock.steady += 61
            await out.idle()
            await out.until(lambda tried=tried: sink.attempts["defer@example.org"] > tried)  # type: ignore[misc]
            await out.idle()
            assert out.states() == {State.DEFERRED: 1} and not notices(out)
        # and what is due in the right time is sent in it
        out.put("bob@example.org", message_id="<2@example.test>")
        await out.idle()
        assert len(sink.messages) == 1

    play(scene, clock=clock)


def test_a_dead_host_is_probed_once_and_its_mail_woken(play: Callable[..., None], sink: SinkMx) -> None:
    """Down: all wait, one connection tries. Up: the probe's success brings everybody's mail at once."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        sink.down()
        for number in range(8):
            out.put(f"u{number}@example.org", message_id=f"<{number}@example.test>")
        await out.idle()
        assert {one.state for one in out.waiting()} == {State.DEFERRED}
        reasons = sorted(one.reason.code for one in out.waiting() if one.reason)
        assert reasons.count("queue.connect") <= 2
        assert reasons.count("queue.resting") >= 6
        await out.later(1 * MINUTE)
        await out.later(5 * MINUTE)
        sink.up()
        due = min(one.next_at for one in out.waiting() if one.next_at)
        await out.later(max(due - clock.now(), 15 * MINUTE))
        await out.idle()
        assert out.waiting() == ()
        assert len(sink.messages) == 8

    play(scene, clock=clock)


def test_a_session_carries_several_messages(play: Callable[..., None], sink: SinkMx) -> None:
    """A backlog goes over a handful of connections, not one for each message; also past refused ones."""

    async def scene(out: Outbound) -> None:
        for number in range(60):
            user = "reject" if number % 10 == 3 else "u"
            out.put(f"{user}{number}@example{number % 3}.org", message_id=f"<{number}@example.test>", return_path="")
        await out.idle()
        assert out.waiting() == ()
        assert len(sink.messages) == 54
        assert sink.connections <= 12

    play(scene)


def test_slots(play: Callable[..., None], sink: SinkMx) -> None:
    """Never more than two connections to one destination, nor ten attempts for one account."""
    most: dict[str, int] = {"all": 0}

    async def scene(out: Outbound) -> None:
        for number in range(40):
            out.put(f"u{number}@example{number}.org", message_id=f"<{number}@example.test>")
            out.put(f"v{number}@one.example.org", message_id=f"<v{number}@example.test>")
        seen = set()
        while out.waiting():
            keys = [key for key, _ in out.queue._slots.values()]
            most["all"] = max(most["all"], len(keys))
            most["one"] = max(most.get("one", 0), keys.count("one.example.org"))
            seen |= set(keys)
            await asyncio.sleep(0)
        assert len(sink.messages) == 80
        assert most["one"] == 2
        assert most["all"] == 10

    table = {"*": ("127.0.0.1", sink.port)}

    class ByDomain(Routes):
        def key(self, domain: str) -> str:
            return domain

    play(scene, routes=ByDomain(table=table))


def test_greylisting_takes_a_minute(play: Callable[..., None], sink: SinkMx) -> None:
    """The second attempt comes after one minute and sends the same octets."""

    async def scene(out: Outbound) -> None:
        out.put("latedefer@example.org")
        await out.idle()
        (one,) = out.waiting()
        assert one.next_at == out.clock.now() + MINUTE
        assert (one.attempts, one.reply) == (1, "451 4.3.0 try again later")

    play(scene)


def test_retries_send_the_same_octets(play: Callable[..., None], sink: SinkMx) -> None:
    """Signed once: what a second attempt sends is what the first one sent (RFC 5321 §6.1, C9)."""

    async def scene(out: Outbound) -> None:
        out.put("drop@example.org")
        await out.idle()
        await out.later(1 * MINUTE)
        first, second = sink.messages
        assert first.data == second.data
        assert first.data.startswith(b"DKIM-Signature: ")

    play(scene)


def test_hold_release_schedule_cancel(play: Callable[..., None], sink: SinkMx) -> None:
    """Undo, approval and a set hour are one mechanism, for colleagues' copies too."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        held = out.put("bob@example.test", "x@example.org", message_id="<1@example.test>", hold=Reason("approval"))
        at = Millis(clock.now() + HOUR)
        out.put("bob@example.test", "y@example.org", message_id="<2@example.test>", not_before=at)
        gone = out.put("bob@example.test", "z@example.org", message_id="<3@example.test>", not_before=at)
        await out.idle()
        assert sink.messages == []
        assert out.inbox("bob") == []
        out.db.write(lambda tx: out.spool.cancel_in(tx, gone, out.account("ann")))
        out.db.write(lambda tx: out.spool.release_in(tx, held))
        await out.idle()
        assert [one.recipients for one in sink.messages] == [["x@example.org"]]
        assert len(out.inbox("bob")) == 1
        await out.later(HOUR)
        assert [one.recipients for one in sink.messages[1:]] == [["y@example.org"]]
        assert len(out.inbox("bob")) == 2
        assert out.waiting() == ()

    play(scene, clock=clock)


def test_local_recipients_who_are_gone_when_it_is_due(play: Callable[..., None]) -> None:
    """The directory decides at the hour; the sender is told."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        at = Millis(clock.now() + HOUR)
        out.put("bob@example.test", "nobody@example.test", not_before=at)
        bob = out.account("bob")
        out.db.write(lambda tx: out.directory.delete_account_in(tx, bob))
        await out.later(HOUR)
        (notice,) = notices(out)
        text = words(notice)
        assert "bob@example.test" in text
        assert "There is no such address at example.test." in text
        assert out.states()[State.BOUNCED] == 2

    play(scene, clock=clock)


def test_an_alias_that_leads_elsewhere_when_it_is_due(play: Callable[..., None], sink: SinkMx) -> None:
    """Forwards become an item of their own; a member of ours gets it here."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        def op(tx: Any) -> None:
            out.directory.add_alias_in(tx, "team@example.test", ["bob@example.test", "x@example.org"], kind="group")  # type: ignore[arg-type]

        out.db.write(op)
        out.put("team@example.test", not_before=Millis(clock.now() + HOUR))
        await out.later(HOUR)
        assert len(out.inbox("bob")) == 1
        (message,) = sink.messages
        assert message.recipients == ["x@example.org"]
        assert b"Delivered-To: team@example.test\r\n" in message.data

    play(scene, clock=clock)


def test_a_full_mailbox_waits(play: Callable[..., None]) -> None:
    """A colleague without room is tried later; a notification always fits."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        out.db.write(lambda tx: out.directory.set_quota_in(tx, out.account("bob"), 10))
        out.put("bob@example.test", not_before=Millis(clock.now() + HOUR))
        await out.later(HOUR)
        (one,) = out.waiting()
        assert one.reason == Reason("queue.full")
        out.db.write(lambda tx: out.directory.set_quota_in(tx, out.account("bob"), 0))
        await out.later(1 * MINUTE)
        assert len(out.inbox("bob")) == 1

    play(scene, clock=clock)


def test_large_messages_are_streamed(play: Callable[..., None], sink: SinkMx) -> None:
    """Twenty megabytes go out in pieces, signed, and arrive whole."""
    body = (b"x" * 76 + b"\r\n") * (20 * 1024 * 1024 // 78)

    async def scene(out: Outbound) -> None:
        out.put("bob@example.org", body=body)
        await out.idle(120)
        (message,) = sink.messages
        assert message.data.endswith(b"\r\n\r\n" + body)
        assert message.data.startswith(b"DKIM-Signature: ")

    play(scene)


def test_tls_is_taken_and_its_failure_costs_nothing(tmp_path: Path) -> None:
    """Offered: taken. Refused, or a handshake that fails: once more in the clear, before the envelope."""

    async def inside() -> None:
        offers = ("PIPELINING", "STARTTLS")
        with SinkMx(tls=True) as good, SinkMx(offers=offers) as refuses, SinkMx(tls=True, offers=offers) as broken:
            broken._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # it has no certificate
            sinks = {"good": good, "refuses": refuses, "broken": broken}
            table = {f"{name}.example.org": ("127.0.0.1", sink.port) for name, sink in sinks.items()}
            async with outbound(tmp_path, routes=Routes(table=table)) as out:
                out.put(*(f"a@{domain}" for domain in table))
                await out.idle()
                assert [one.tls for one in good.messages] == [True]
                assert [one.tls for one in refuses.messages] == [False]
                assert [one.tls for one in broken.messages] == [False]
                assert broken.connections == 2

    asyncio.run(inside())


def test_drain_finishes_what_is_on_the_wire(tmp_path: Path, sink: SinkMx) -> None:
    """Stopping while mail flows: nothing is lost, nothing is counted twice, the next start goes on."""

    async def first() -> None:
        async with outbound(tmp_path, routes=Routes(all=("127.0.0.1", sink.port))) as out:
            for number in range(200):
                out.put(f"u{number}@example.org", message_id=f"<{number}@example.test>")
            await out.until(lambda: len(sink.messages) >= 5)

    async def second() -> None:
        async with outbound(tmp_path, routes=Routes(all=("127.0.0.1", sink.port))) as out:
            await out.idle()
            assert out.waiting() == ()

    asyncio.run(first())
    before = len(sink.messages)
    assert before < 200
    asyncio.run(second())
    assert sorted(one.message_id for one in sink.messages) == sorted(f"<{n}@example.test>" for n in range(200))


def test_a_hanging_server_is_left(play: Callable[..., None], sink: SinkMx) -> None:
    """Time limits end attempts at RCPT and after the final dot; the mail waits and says why."""

    async def scene(out: Outbound) -> None:
        out.put("hang@example.org", message_id="<1@example.test>")
        await out.idle()
        (one,) = out.waiting()
        assert one.reason == Reason("queue.timeout", {"stage": "rcpt"})

    play(scene)


def test_a_server_that_closes_is_tried_again(play: Callable[..., None], sink: SinkMx) -> None:
    """At RCPT, and after the final dot, when it may have the message already."""

    async def scene(out: Outbound) -> None:
        out.put("close@example.org", message_id="<1@example.test>")
        out.put("drop@example.org", message_id="<2@example.test>")
        await out.idle()
        stages = {one.address: one.reason for one in out.waiting()}
        assert stages["close@example.org"] == Reason("queue.lost", {"stage": "rcpt"})
        assert stages["drop@example.org"] == Reason("queue.lost", {"stage": "final"})

    play(scene)


def test_stop_breaks_off_and_gives_back(tmp_path: Path, sink: SinkMx) -> None:
    """A server that hangs does not hold the stop; nothing is counted, and the next start begins there."""

    async def first() -> None:
        async with outbound(tmp_path, routes=Routes(all=("127.0.0.1", sink.port)), limits=Limits()) as out:
            out.put("hang@example.org")
            await out.until(lambda: sink.attempts["hang@example.org"] == 1)
            started = asyncio.get_running_loop().time()
            await out.end()
            assert asyncio.get_running_loop().time() - started < 8
            (one,) = out.waiting()
            assert (one.state, one.attempts) == (State.DEFERRED, 0)

    asyncio.run(first())


def test_mail_for_many_domains_behind_one_host_is_woken_together(play: Callable[..., None], sink: SinkMx) -> None:
    """A smarthost that comes back gets everything, not one domain's mail."""
    clock = FakeClock()

    async def scene(out: Outbound) -> None:
        sink.down()
        for number in range(6):
            out.put(f"u@example{number}.org", message_id=f"<{number}@example.test>")
        await out.idle()
        for _ in range(8):
            await out.later(HOUR)
        sink.up()
        due = min(one.next_at for one in out.waiting() if one.next_at)
        await out.later(max(due - clock.now(), 30 * MINUTE))
        await out.idle()
        assert out.waiting() == ()

    play(scene, clock=clock)


def test_an_error_of_ours_returns_nobodys_mail(play: Callable[..., None]) -> None:
    """A fault in the middle of an attempt puts the item off; the slot and the others live."""

    async def scene(out: Outbound) -> None:
        def broken(domain: str) -> tuple[()]:
            raise RuntimeError("a fault")

        object.__setattr__(out.queue._parts.carrier, "keys_of", broken)
        out.put("bob@example.org", message_id="<1@example.test>")
        await out.idle()
        (one,) = out.waiting()
        assert one.reason == Reason("queue.fault")
        assert one.state is State.DEFERRED

    play(scene)


def test_damaged_octets_wait_for_a_restore(play: Callable[..., None], sink: SinkMx) -> None:
    """A blob that does not open is not sent and not bounced; it says why."""

    async def scene(out: Outbound) -> None:
        out.put("bob@example.org", hold=Reason("test"))
        out.db.write(lambda tx: tx.run(update(t.blob_data).values(data=b"MSB1" + bytes(60))))
        out.db.write(lambda tx: out.spool.release_in(tx, ItemId(1)))
        await out.idle()
        (one,) = out.waiting()
        assert one.reason == Reason("queue.corrupt")
        assert sink.attempts == {}

    play(scene)
