"""Generated text for the parsers: one reading or the named error, and nothing else."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from smtp.policy import stages
from smtp.policy.fixups import fixed
from smtp.policy.identity import fields, mailboxes, require_identity
from smtp.reply import Refused
from smtp.transaction.assembly import Assembly
from smtp.transaction.parameters import mail_parameters, rcpt_parameters
from smtp.transaction.path import split_path

PATHISH = st.text(alphabet=st.sampled_from('ab.@<>"\\[]:,;%! +=-_1é\u202e\U0001f600'), max_size=60)
PARAMETERISH = st.lists(
    st.sampled_from(["SIZE=", "1", "BODY=", "7BIT", "SMTPUTF8", "RET=HDRS", "ENVID=", "+41", "NOTIFY=", "NEVER", ",",
                     "SUCCESS", "ORCPT=", "rfc822;", "utf-8;", r"\x{41}", "a@b", " ", "=", "é"]),
    max_size=12,
).map("".join)  # fmt: skip
HEADERISH = st.lists(
    st.sampled_from([b"From", b"from", b"Bcc", b"Date", b":", b" ", b"\t", b"\r\n", b"a@b.test", b"<", b">", b'"', b",",
                     b"(", b")", b"=?utf-8?q?=40?=", b"\xff", b"x"]),
    max_size=40,
).map(b"".join)  # fmt: skip


@given(PATHISH)
@example("<@a:b@c>")
def test_paths(text: str) -> None:
    found = split_path(text)
    if found is None or found[0].null or not found[0].domain:
        return
    path, rest = found
    assert not rest or rest.startswith(" ")
    again = split_path(f"<{path.text()}>")
    assert again is not None
    assert (again[0].local, again[0].domain) == (path.local, path.domain)


@given(st.sampled_from(["FROM:", "TO:", "from: ", ""]), PATHISH, PARAMETERISH)
def test_commands(word: str, path: str, parameters: str) -> None:
    for ask in (stages.sender, stages.recipient):
        try:
            ask(f"{word}{path} {parameters}")
        except Refused as no:
            assert no.reply.permanent


@given(PARAMETERISH)
def test_parameters(text: str) -> None:
    for read in (mail_parameters, rcpt_parameters):
        try:
            read(text)
        except Refused as no:
            assert no.reply.code in {501, 555}


@given(HEADERISH)
def test_headers(octets: bytes) -> None:
    """What passes is unchanged but for what is added and taken out; what was checked is there once."""
    header = octets + b"\r\n\r\n"
    try:
        found = fields(header)
        require_identity(found, lambda address: address == "a@b.test")
    except Refused as no:
        assert no.reply.permanent
        return
    again = fields(fixed(found, now=0, message_id="<m@b.test>"))  # type: ignore[arg-type]
    assert [field for field in again if field[0] == b"from"] == [field for field in found if field[0] == b"from"]
    assert not [name for name, _ in again if name == b"bcc"]


@given(st.text(max_size=80))
def test_mailbox_lists(text: str) -> None:
    try:
        found = list(mailboxes(text))
    except Refused:
        return
    assert all(path.local and path.domain for _, path in found)


@given(
    st.lists(st.sampled_from([b"a", b"\r\n", b"\r\n\r\n", b"Received: x\r\n", b": "]), max_size=40), st.integers(1, 9)
)
def test_assembly_whole_is_in_pieces(parts: list[bytes], stride: int) -> None:
    octets = b"".join(parts)

    def outcome(step: int) -> object:
        one = Assembly(max_size=200, max_header=60, max_line=50, hops=4)
        try:
            for at in range(0, len(octets), step):
                one.feed(octets[at : at + step])
            one.finish()
        except Refused as no:
            return no.why
        return one.header, one.size, one.take()

    whole, pieces = outcome(max(1, len(octets))), outcome(stride)
    # a header that is too long may be found out before or after the message is; either way it is refused
    assert whole == pieces or (isinstance(whole, str) and isinstance(pieces, str))
