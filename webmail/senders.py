"""Whether it is known who sent a message, and whose remote pictures a reader always wants to see.

    GET  /pictures          the senders whose pictures are always shown
    POST /pictures          do=allow|forget, address=..., back=<path below the face>

Promises: a message counts as vouched for only where this server itself wrote, when it took the message in, that its sender
had signed in here; such a sender may use the address in From (smtp.submission). Nothing the message says of itself counts.
What a reader allowed for an address is given to vouched messages of this one address alone: SPF, DKIM and DMARC are not
checked yet, so anybody could write any other From, and pictures would tell them that their message was opened.
"""

from __future__ import annotations

import re
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
_BACK: Final = re.compile(r"/mail/[a-z0-9]{1,20}/t[0-9]{1,18}\Z")


def vouched(prefix: bytes) -> bool:
    """Had whoever sent this signed in here? By the trace fields this server put above the message (RFC 3848): of mail from
    elsewhere ours names the peer first, of a submission it never does."""
    first = _RECEIVED.search(prefix)
    return first is not None and _SIGNED_IN.match(first[1].rstrip()) is not None


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
    return vouched(prefix) and sender_of(from_) in allowed(settings, account)


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
