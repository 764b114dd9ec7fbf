"""Whether it is known who sent a message, and whose remote pictures a reader always wants to see.

    GET  /pictures          the senders whose pictures are always shown
    POST /pictures          do=allow|forget, address=..., back=<path below the face>

Promises: it is known who sent a message only where this server itself wrote so when it took the message in: that its sender
had signed in here (such a sender may use the address in From, says smtp.submission), or that the domain in From passed DMARC.
Nothing the message says of itself counts. What a reader allowed for an address is given to such messages of this one address
alone: anybody can write any other From, and pictures would tell them that their message was opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from flask import Response, request

from appliance.web.access import Access, Routes
from appliance.web.apps import Here, here, moved, page
from data.directory.settings import Scope, Settings
from data.disk.db import Tx
from data.errors import Invalid
from data.ids import AccountId
from data.mime.address import AddressError, normal
from webmail.reading import people

SETTING: Final = "web.pictures"
MOST: Final = 200
_RECEIVED: Final = re.compile(rb"^Received: ([^\r\n]*)", re.MULTILINE)
_SIGNED_IN: Final = re.compile(rb"by \S+ with (?:HTTP|ESMTPS?A|UTF8SMTPS?A)\Z")
_RESULTS: Final = re.compile(rb"^Authentication-Results: [^\r\n]*((?:\r\n\t[^\r\n]*)*)", re.MULTILINE)
_DMARC: Final = re.compile(
    rb"\r\n\tdmarc=([a-z]{1,20})(?: reason=\"[^\"\r\n]*\")? header\.from=([a-z0-9._-]{1,253})(?=[ ;\r]|\Z)"
)
_BACK: Final = re.compile(r"/mail/[a-z0-9]{1,20}/t[0-9]{1,18}\Z")


def vouched(prefix: bytes) -> bool:
    """Had whoever sent this signed in here? By the trace fields this server put above the message (RFC 3848): of mail from
    elsewhere ours names the peer first, of a submission it never does."""
    first = _RECEIVED.search(prefix)
    return first is not None and _SIGNED_IN.match(first[1].rstrip()) is not None


@dataclass(frozen=True, slots=True)
class Proof:
    """What DMARC says of the domain in From, as this server found; an empty `result` where it did not look."""

    result: str = ""
    domain: str = ""

    @property
    def good(self) -> bool:
        """The domain stands by the message."""
        return self.result == "pass"

    @property
    def bad(self) -> bool:
        """The domain says how its mail is known, and this is not."""
        return self.result == "fail"


def proof_of(prefix: bytes) -> Proof:
    """What this server wrote above the message when it came (RFC 8601)."""
    ours = _RESULTS.search(prefix)
    found = _DMARC.search(ours[1]) if ours is not None else None
    return Proof() if found is None else Proof(found[1].decode(), found[2].decode())


def known(prefix: bytes, from_: str) -> bool:
    """Is it known that the one address in From sent this?"""
    if vouched(prefix):
        return True
    proof, domain = proof_of(prefix), sender_of(from_).rpartition("@")[2]
    return proof.good and bool(domain) and domain == proof.domain


def sender_of(from_: str) -> str:
    """The one address of a From text, in the form that is compared; empty where there is none, or more than one."""
    found = people(from_)
    if len(found) != 1:
        return ""
    try:
        return normal(found[0].address).key_address
    except AddressError:
        return ""


def allowed(settings: Settings, account: AccountId) -> tuple[str, ...]:
    """Whose pictures an account always sees."""
    return tuple(filter(None, settings.text(Scope.account(account), SETTING).split("\n")))


def shows(settings: Settings, account: AccountId, prefix: bytes, from_: str) -> bool:
    """Are the pictures of this message shown without being asked for?"""
    return known(prefix, from_) and sender_of(from_) in allowed(settings, account)


def routes_of_senders() -> Routes:
    """The routes."""
    routes = Routes("senders")

    @routes.get("/pictures", Access.USER)
    def show() -> Response:
        current = here()
        return page("mail/pictures.html", senders=allowed(current.parts.settings, current.account.id))

    @routes.post("/pictures", Access.USER)
    def change() -> Response:
        _change(here(), request.form.get("do", ""), request.form.get("address", "").strip())
        back = request.form.get("back", "")
        return moved(back if _BACK.match(back) else "/pictures")

    return routes


def _change(current: Here, do: str, address: str) -> None:
    settings, account = current.parts.settings, current.account.id
    try:
        key = normal(address).key_address
    except AddressError as error:
        raise Invalid(address[:200], public=error.public) from error
    if do not in {"allow", "forget"}:
        raise Invalid(do[:40])

    def op(tx: Tx) -> None:
        now = [one for one in allowed(settings, account) if one != key]
        if do == "allow":
            now.append(key)
        settings.set_in(tx, Scope.account(account), SETTING, "\n".join(now[-MOST:]))

    current.parts.db.write(op)
