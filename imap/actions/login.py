"""LOGIN and AUTHENTICATE (RFC 9051 §6.2.2, §6.2.3): credentials go to the one login gate of the house.

Promises: without TLS a password is not looked at, so that the answer is the same for a right and a wrong one (attack
T4). Whether one may act for somebody else (authzid) is the gate's to say (attack T5).
"""

from __future__ import annotations

from appliance import sasl
from appliance.auth import LoginRefused
from imap.actions.call import Call, Done
from imap.command import Authenticate, Login
from imap.errors import Bad, No

_PLAINTEXT = "A password is taken under TLS alone: use STARTTLS first"


async def login(call: Call, command: Login) -> Done:
    """LOGIN."""
    if not call.session.may_login:
        raise No(_PLAINTEXT, b"PRIVACYREQUIRED")
    return await _enter(call, command.user, command.password)


async def authenticate(call: Call, command: Authenticate) -> Done:
    """AUTHENTICATE with PLAIN or LOGIN, with or without an initial response (RFC 4959)."""
    if not call.session.may_login:
        raise No(_PLAINTEXT, b"PRIVACYREQUIRED")
    mechanism = sasl.begin(command.mechanism)
    if mechanism is None:
        raise No("That mechanism is not supported", b"CANNOT")
    try:
        said = mechanism.step(command.initial)
        while isinstance(said, sasl.Challenge):
            said = mechanism.step(await call.ask(said.text))
    except sasl.SaslError as error:
        raise Bad(error.public) from None
    return await _enter(call, said.authcid, said.password, said.authzid)


async def _enter(call: Call, identity: str, password: str, authzid: str = "") -> Done:
    session, gate, peer = call.session, call.parts.gate, call.line.peer
    try:
        principal = await gate.login(
            identity, password, protocol="imap", peer=peer, tls=session.secure, authzid=authzid, id=call.id
        )
    except LoginRefused as refused:
        code = b"UNAVAILABLE" if refused.temporary else b"AUTHENTICATIONFAILED"
        raise No(refused.public, code) from None
    call.still_there()
    session.authenticated(principal)
    return Done("Logged in", b"CAPABILITY " + b" ".join(session.capabilities()))
