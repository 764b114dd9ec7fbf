"""swaks: to the MX with STARTTLS, and to submission with STARTTLS (587) and TLS from the first octet (465)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.outside import Person, Ran, body, call, parsed, received

RCPT_REFUSED, AUTH_FAILED, MAIL_REFUSED = 24, 28, 23
TLS = {"submission": "--tls", "submissions": "--tls-on-connect"}


@pytest.fixture
def swaks(program: Callable[[str], str], ann: Person, cert: str) -> Callable[..., Ran]:
    """`swaks(listener, *words, expect=0)`: TLS, verified, is its own doing."""
    path = program("swaks")

    def send(listener: str, *words: str | Path, expect: int = 0) -> Ran:
        way = TLS.get(listener, "--tls")
        verified = [way, "--tls-verify", "--tls-ca-path", cert] if "--no-tls" not in words else []
        rest = [word for word in words if word != "--no-tls"]
        server = ["--server", "localhost", "--port", str(ann.house.port(listener)), "--helo", "client.example.org"]
        return call([path, *server, *verified, "--timeout", "20", *rest], expect=expect)

    return send


def test_to_the_mx_over_tls(swaks: Callable[..., Ran], ann: Person) -> None:
    said = swaks(
        "mx", "--from", "dora@example.net", "--to", ann.address, "--header", "Subject: from swaks", "--body", "Hello.\n"
    ).out
    assert "=== TLS started with cipher TLSv1.3" in said
    assert "=== TLS peer DN=" in said
    # told anew after the handshake, and never an AUTH on this port (RFC 3207 §4.2)
    assert said.count("PIPELINING") == 2
    assert "AUTH" not in said
    mail = ann.mail("from swaks")
    assert re.match(
        r"from client\.example\.org \(.*\[127\.0\.0\.1\]\) by mail\.example\.test with ESMTPS ", received(mail)[0]
    )
    assert body(mail).startswith(b"Hello.\r\n")


def test_the_mx_does_not_relay_and_knows_its_people(swaks: Callable[..., Ran], ann: Person) -> None:
    said = swaks("mx", "--from", "dora@example.net", "--to", "someone@example.net", expect=RCPT_REFUSED).out
    assert re.search(r"<~\* 55\d 5\.7\.1 ", said)
    said = swaks("mx", "--from", "dora@example.net", "--to", "nobody@example.test", expect=RCPT_REFUSED).out
    assert re.search(r"<~\* 550 5\.1\.1 ", said)
    assert ann.counts()["INBOX"] == 0


def test_pipelined_to_several_of_whom_one_is_not_there(swaks: Callable[..., Ran], ann: Person, ben: Person) -> None:
    to = f"{ann.address},nobody@example.test,{ben.address}"
    said = swaks("mx", "--pipeline", "--from", "dora@example.net", "--to", to, "--header", "Subject: pipelined").out
    assert said.count("<~  250 2.1.5") == 2
    assert said.count("<~* 550 5.1.1") == 1
    for one in (ann, ben):
        assert parsed(one.mail("pipelined"))["Return-Path"] == "<dora@example.net>"


@pytest.mark.parametrize("listener", ["submission", "submissions"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_signed_in_submission(
    swaks: Callable[..., Ran], ann: Person, ben: Person, listener: str, mechanism: str
) -> None:
    said = swaks(
        listener, "--auth", mechanism, "--auth-user", ann.address, "--auth-password", ann.password,
        "--from", ann.address, "--to", ben.address, "--header", "Subject: submitted",
    ).out  # fmt: skip
    assert "<~  235 2.7.0" in said
    mail = ben.mail("submitted")
    ours = received(mail)[0]
    assert re.match(r"by mail\.example\.test with ESMTPSA ", ours)
    # where somebody reads mail is nobody's business
    assert "127.0.0.1" not in ours
    assert "client.example.org" not in ours


def test_an_attachment_arrives_as_it_was(swaks: Callable[..., Ran], ann: Person, ben: Person, tmp_path: Path) -> None:
    file = tmp_path / "numbers.bin"
    file.write_bytes(bytes(range(256)) * 2000)
    swaks(
        "submissions", "--auth", "PLAIN", "--auth-user", ann.address, "--auth-password", ann.password,
        "--from", ann.address, "--to", ben.address, "--header", "Subject: with a file",
        "--attach-type", "application/octet-stream", "--attach", f"@{file}",
    )  # fmt: skip
    parts = list(parsed(ben.mail("with a file")).walk())
    (attached,) = [part for part in parts if part.get_content_type() == "application/octet-stream"]
    assert attached.get_content() == file.read_bytes()


def test_submission_wants_a_sign_in_and_the_right_one(swaks: Callable[..., Ran], ann: Person, ben: Person) -> None:
    envelope = ("--from", ann.address, "--to", ben.address)
    said = swaks("submission", *envelope, expect=MAIL_REFUSED).out
    assert "<~* 530 5.7.0" in said
    wrong = ("--auth", "PLAIN", "--auth-user", ann.address, "--auth-password", "not this")
    said = swaks("submission", *envelope, *wrong, expect=AUTH_FAILED).out
    assert "<~* 535 5.7.8" in said
    assert ben.counts()["INBOX"] == 0


def test_no_password_is_taken_in_the_clear(swaks: Callable[..., Ran], ann: Person, ben: Person) -> None:
    words = ("--no-tls", "--auth", "PLAIN", "--auth-user", ann.address, "--auth-password", ann.password)
    said = swaks("submission", *words, "--from", ann.address, "--to", ben.address, expect=AUTH_FAILED).out
    assert "AUTH" not in re.sub(r"\*\*\*.*", "", said)
    assert base64.b64encode(ann.password.encode()).decode() not in said


def test_somebody_elses_address_is_refused(swaks: Callable[..., Ran], ann: Person, ben: Person) -> None:
    said = swaks(
        "submission", "--auth", "PLAIN", "--auth-user", ann.address, "--auth-password", ann.password,
        "--from", ben.address, "--to", ann.address, expect=MAIL_REFUSED,
    ).out  # fmt: skip
    assert re.search(r"<~\* 55\d 5\.7\.1", said)
