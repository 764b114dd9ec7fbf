"""CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE, STARTTLS, IDLE: commands that need nothing but the session."""

from __future__ import annotations

from imap import response
from imap.actions.call import DONE, After, Call, Done
from imap.command import Command, Enable
from imap.errors import Bad

_NAME = b"Mailstead"


def capability(call: Call, command: Command) -> Done:
    """RFC 9051 §6.1.1."""
    call.send(response.capability(call.session.capabilities()))
    return DONE


def noop(call: Call, command: Command) -> Done:
    """RFC 9051 §6.1.2: what happened is told behind every command, so that nothing is left to do."""
    return DONE


def logout(call: Call, command: Command) -> Done:
    """RFC 9051 §6.1.3."""
    call.send(response.untagged(b"BYE", "Until next time"))
    return Done(after=After.CLOSE)


def id_(call: Call, command: Command) -> Done:
    """RFC 2971: our name; the version is told to those alone who are logged in."""
    version = call.parts.version.encode("ascii", "replace")
    told = b' "version" %b' % response.string(version) if call.session.principal is not None and version else b""
    call.send(b'* ID ("name" "%b"%b)\r\n' % (_NAME, told))
    return DONE


def enable(call: Call, command: Enable) -> Done:
    """RFC 5161, RFC 9051 §6.3.1."""
    on = call.session.enable(command.names)
    call.send(b"* ENABLED%b\r\n" % b"".join(b" " + name for name in on))
    return DONE


def starttls(call: Call, command: Command) -> Done:
    """RFC 9051 §6.2.1; what was sent behind it in plain is forgotten."""
    if not call.session.may_starttls:
        raise Bad("TLS is up already" if call.session.secure else "STARTTLS is not offered here")
    return Done("Begin TLS negotiation now", after=After.TLS)


def idle(call: Call, command: Command) -> Done:
    """RFC 2177, RFC 9051 §6.3.13."""
    call.send(b"+ idling\r\n")
    return Done(after=After.IDLE)
