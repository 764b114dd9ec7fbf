"""What each verb is answered by: connect, hello, mail, rcpt (RFC 5321 §3.3, §3.6, §4.1).

Pure: facts in, a normal form out, or Refused. The MX and submission ask the same questions; what only one of them asks
stands with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from data.directory.facts import Resolution, Where
from data.mime.address import AddressError, NormalAddress, domain_to_ascii, normal
from smtp import reply
from smtp.reply import Refused, Reply
from smtp.transaction.facts import Envelope
from smtp.transaction.parameters import MailParameters
from smtp.transaction.path import Path, split_path

_HELLO = re.compile(r"[\w.\-:\[\]+/]{1,255}\Z")
_LOOSE_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\Z")

POSTMASTER = NormalAddress("postmaster", "", "postmaster", "postmaster", None)

_NO: Mapping[Where, tuple[Reply, str]] = {
    Where.UNKNOWN: (reply.USER_UNKNOWN, "rcpt.unknown"),
    Where.REMOTE: (reply.RELAY_DENIED, "rcpt.relay"),
    Where.SUSPENDED: (reply.SUSPENDED, "rcpt.suspended"),
    Where.LOOP: (reply.ALIAS_LOOP, "rcpt.loop"),
}


def connection(head: int, total: int, *, per_head: int, connections: int) -> Reply | None:
    """May one more begin, where `head` from the same machine and `total` in all are there already?"""
    if connections and total >= connections:
        return reply.FULL_HOUSE
    if per_head and head >= per_head:
        return reply.TOO_MANY_CONNECTIONS
    return None


def hello_name(text: str) -> str:
    """The name a client gives itself. (lenient: RFC 5321 §4.1.4 forbids to refuse mail because a name is not right)"""
    name = text.strip(" ")
    if not _HELLO.match(name):
        raise Refused(reply.HELLO_NAME, "helo.name")
    return name


def sender(argument: str) -> tuple[Path, str]:
    """MAIL's path and the text of its parameters."""
    if argument[:5].upper() != "FROM:":
        raise Refused(reply.MAIL_SYNTAX, "mail.syntax")
    found = split_path(argument[5:])
    if found is None:
        raise Refused(reply.BAD_SENDER, "mail.path")
    return found


def return_path(path: Path, parameters: MailParameters) -> str:
    """The return-path as it is kept: local part as written, domain as A-label, empty for <>.

    (lenient: local parts beyond 64 octets and underscores in host names are in use; SRS and VERP make them)
    """
    if path.null:
        return ""
    if not path.domain:
        raise Refused(reply.BAD_SENDER, "mail.domain")
    if not path.ascii and not parameters.smtputf8:
        raise Refused(reply.SENDER_NEEDS_UTF8, "mail.utf8")
    try:
        if path.literal:
            return normal(path.text(), literals=True).address
        return path.text(domain_to_ascii(path.domain))
    except AddressError:
        if path.literal or not _LOOSE_DOMAIN.match(path.domain):
            raise Refused(reply.BAD_SENDER, "mail.domain")
        return path.text(path.domain.lower())


def begin(trail: str, path: Path, parameters: MailParameters) -> Envelope:
    """A transaction as MAIL opens it."""
    return Envelope(
        trail,
        return_path(path, parameters),
        smtputf8=parameters.smtputf8,
        requiretls=parameters.requiretls,
        body=parameters.body,
        size=parameters.size,
        ret=parameters.ret,
        envid=parameters.envid,
    )


def recipient(argument: str) -> tuple[Path, str]:
    """RCPT's path and the text of its parameters; a route or an address literal is refused as it stands."""
    if argument[:3].upper() != "TO:":
        raise Refused(reply.RCPT_SYNTAX, "rcpt.syntax")
    found = split_path(argument[3:])
    if found is None or found[0].null:
        raise Refused(reply.BAD_RECIPIENT, "rcpt.path")
    if found[0].routed or found[0].literal:
        raise Refused(reply.RELAY_DENIED, "rcpt.form")
    return found


def require_plain(path: Path) -> None:
    """A local part of ours does not say where to send on to (percent, bang, a quoted address)."""
    if path.relaying:
        raise Refused(reply.RELAY_DENIED, "rcpt.form")


def address(path: Path) -> NormalAddress:
    """The normal form of a forward-path."""
    if not path.domain:
        return POSTMASTER
    try:
        return normal(path.text())
    except AddressError:
        raise Refused(reply.BAD_RECIPIENT, "rcpt.path")


def require_ours(resolution: Resolution) -> None:
    """The recipient leads somewhere (MX: there is no other kind of recipient; RFC 5321 §3.6.2)."""
    no = _NO.get(resolution.status)
    if no is not None:
        raise Refused(*no)


def require_tls(parameters: MailParameters, *, tls: bool) -> None:
    """REQUIRETLS is offered under TLS alone (RFC 8689 §4.2.1)."""
    if parameters.requiretls and not tls:
        raise Refused(reply.PARAMETER_UNKNOWN, "parameter.requiretls")


def require_size(size: int | None, limit: int) -> None:
    """A SIZE that we would not take is refused at MAIL (RFC 1870 §6.1)."""
    if size is not None and size > limit:
        raise Refused(reply.TOO_BIG, "message.size")
