"""Writing: a new message, an answer, a draft; its files; sending it, and taking that back.

    GET  /compose                              a new message; `to`, `subject` fill it
    GET  /compose/reply|all|forward/<box>/<uid>  an answer to a message
    GET  /compose/draft/<box>/<uid>            a draft goes on
    POST /compose                              do=save|send|attach|discard
    GET  /outgoing/<key>                       what was sent, and until when that can be undone (to a script: JSON)
    POST /outgoing/<key>/undo
    POST /upload?key=&version=&name=           a file for a draft that was saved (native)

Promises: opening changes nothing; a page without scripts can do all of it. A draft is saved before its message is sent,
and is there again after an undo. Scripts of ours (HX-Request) are answered with where the draft stands, as JSON.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from flask import Request, Response, request

from appliance.i18n import N_
from appliance.web.access import Access, Routes
from appliance.web.apps import Here, here, moved, page
from appliance.web.forms import Wrong
from appliance.web.native import Call, Native
from appliance.web.pages import zone_of
from appliance.web.parts import WebParts
from appliance.web.service import INCOMING
from data.errors import Conflict, Invalid, NotFound, StoreError, TooBig
from data.ids import MailboxId
from data.mime.address import Address, AddressError
from data.mime.compose import Attachment, compose
from data.mime.part import Part
from data.mime.plaintext import text_of
from data.principal import Principal
from data.store.drafts import Drafts
from data.store.keys import Flag
from smtp.submission import Refused
from webmail import writing
from webmail.folders import folder_of
from webmail.framing import framed
from webmail.outgoing import Outgoing, told
from webmail.reading import File, files, root_of
from webmail.writing import FILES_MOST, Fields, Read

BODY_MOST: Final = FILES_MOST + 1024 * 1024
_TITLES: Final[Mapping[str, str]] = {
    "new": N_("New message"),
    "reply": N_("Reply"),
    "all": N_("Reply to all"),
    "forward": N_("Forward"),
    "draft": N_("Draft"),
}
_SAVED: Final = N_("Draft saved")
_TOO_MUCH: Final = N_("All attachments together may have 25 MB. Nothing was attached.")
_UNFINISHED: Final = N_("The message was not sent. See what is marked below.")


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored message that is looked into."""

    root: Part
    read: Read
    date: int


class Writing:
    """Everything that pages and natives of writing share."""

    def __init__(self, parts: WebParts, out: Outgoing) -> None:
        self.parts, self.out = parts, out
        self.drafts = Drafts(parts.db, parts.store.messages)

    # --- messages ---------------------------------------------------------------------------------------------------------

    def stored(self, principal: Principal, place: tuple[int, int]) -> Stored:
        """A message the principal may read. Raises NotFound, Refused, Corrupt."""
        letter = self.parts.store.listing.letter(principal, MailboxId(place[0]), place[1])
        root = root_of(letter.layout)
        if root is None:
            raise NotFound(f"message {letter.message} has no layout")
        return Stored(root, self.parts.store.messages.content(letter.blob).read, letter.date)

    def special(self, principal: Principal, use: str) -> MailboxId:
        """The account's mailbox of a special use; made where it is missing."""
        boxes = self.parts.store.mailboxes
        found = next((one.id for one in boxes.list(principal, principal.account) if one.special_use == use), None)
        return found or boxes.create(principal, principal.account, use[1:], use).id

    def sender(self, principal: Principal) -> Address:
        """Who writes."""
        account = self.parts.directory.account_by_id(principal.account)
        local, _, domain = principal.address.rpartition("@")
        return Address(account.name or None, local, domain)

    def files(self, principal: Principal, fields: Fields) -> tuple[File, ...]:
        """The attachments of a message in the making."""
        if fields.source is None or not fields.keep:
            return ()
        return tuple(one for one in files(self.stored(principal, fields.source).root) if one.number in fields.keep)

    def octets(self, principal: Principal, fields: Fields, more: tuple[Attachment, ...], *, final: bool) -> bytes:
        """The message as it is stored or sent. Raises TooBig, Invalid."""
        kept: tuple[Attachment, ...] = ()
        if fields.source is not None and fields.keep:
            source = self.stored(principal, fields.source)
            kept = writing.attachments(source.root, source.read, fields.keep)
        every = (*kept, *more)
        if sum(len(one.data) for one in every) > FILES_MOST:
            raise TooBig("attachments", public=_TOO_MUCH)
        now = self.parts.clock.now()
        zone = zone_of(self.parts.directory.organisation().timezone)
        shift = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).utcoffset()
        offset = int(shift.total_seconds() // 60) if shift is not None else 0
        draft = writing.draft_of(fields, self.sender(principal), now, offset, every, final=final)
        try:
            return compose(draft, with_bcc=True)
        except AddressError as error:
            raise Invalid(str(error), public=error.public) from error

    # --- what happens -----------------------------------------------------------------------------------------------------

    def save(self, principal: Principal, fields: Fields, more: tuple[Attachment, ...] = ()) -> Fields:
        """Keep a draft; returns it as it lies there now. Raises Conflict, TooBig, Invalid, OverQuota."""
        messages, box = self.parts.store.messages, self.special(principal, "\\Drafts")
        prepared = messages.prepare(self.octets(principal, fields, more, final=False))
        name = _message_id(principal, fields.key)
        uid = self.drafts.save(principal, box, name, fields.version, prepared)
        saved = self.stored(principal, (box, uid))
        return replace(fields, version=uid, source=(box, uid), keep=tuple(one.number for one in files(saved.root)))

    def send(self, principal: Principal, fields: Fields, people: tuple[Address, ...]) -> None:
        """Send what was saved. Raises Refused, StoreError."""
        data = self.octets(principal, fields, (), final=True)
        messages = self.parts.store.messages
        self.out.send(principal, fields.key, people, data, self.parts.clock.now())
        self.file(principal, fields.key, messages.prepare(data))
        origin = writing.origin_of(fields.origin)
        if origin is not None:
            self._mark(principal, *origin)

    def file(self, principal: Principal, key: str, prepared: Any) -> None:
        """The copy in Sent, in place of the draft."""
        drafts, sent = self.special(principal, "\\Drafts"), self.special(principal, "\\Sent")
        self.drafts.sent(principal, drafts, sent, _message_id(principal, key), prepared)

    def settle(self, principal: Principal, version: int, key: str) -> None:
        """Finish a sending that ended between the door and Sent."""
        fields = self.reopen(principal, (self.special(principal, "\\Drafts"), version), key)
        self.file(principal, key, self.parts.store.messages.prepare(self.octets(principal, fields, (), final=True)))

    def _mark(self, principal: Principal, how: str, mailbox: int, uid: int) -> None:
        """The message that was answered says so; it may be gone by now."""
        flag, words = (Flag.ANSWERED, ()) if how == "reply" else (Flag(0), ("$Forwarded",))
        try:
            store = self.parts.store
            store.flags.store(principal, MailboxId(mailbox), ((uid, uid),), "+", flag, words)
        except (NotFound, Invalid):
            return

    def undo(self, principal: Principal, key: str) -> tuple[MailboxId, int]:
        """Take a sending back; returns where the draft lies. Raises NotFound, Conflict."""
        drafts, sent = self.special(principal, "\\Drafts"), self.special(principal, "\\Sent")
        name = _message_id(principal, key)
        uid = self.drafts.find(principal, sent, name)
        if uid is None:
            raise NotFound(f"{name} is not in Sent")
        copy = self.stored(principal, (sent, uid))
        keep = tuple(one.number for one in files(copy.root))
        again = writing.with_key(writing.reopened(key, (sent, uid), copy.root, copy.read, keep), secrets.token_hex(16))
        prepared = self.parts.store.messages.prepare(self.octets(principal, again, (), final=False))
        version = self.drafts.unsent(
            principal, drafts, sent, name, prepared, lambda tx: self.out.cancel_in(tx, principal, key)
        )
        return drafts, version

    # --- the native upload --------------------------------------------------------------------------------------------------

    def natives(self) -> tuple[Native, ...]:
        """What the webmail registers."""
        return (Native("/upload", Access.USER, "POST", self._upload, body=BODY_MOST),)

    async def _upload(self, call: Call) -> None:
        key, version = writing.key_of(call.query.get("key", "")), writing.number(call.query.get("version", ""))
        if not key or not version:
            raise NotFound("upload without a draft")
        kind = (call.asked.header("Content-Type") or "").partition(";")[0].strip()
        name = writing.file_name(call.query.get("name", ""))
        principal = call.account.principal()
        try:
            data = await call.blocking(call.body.read)
            fields = await call.blocking(self._attach, principal, key, version, Attachment(data, kind, name))
        except Conflict as error:
            call.say(409, error.public)
            return
        shown = await call.blocking(self.state, principal, fields)
        call.send(200, json.dumps(shown).encode(), {"Content-Type": "application/json", "Cache-Control": "no-store"})

    def _attach(self, principal: Principal, key: str, version: int, file: Attachment) -> Fields:
        box = self.special(principal, "\\Drafts")
        return self.save(principal, self.reopen(principal, (box, version), key), (file,))

    def reopen(self, principal: Principal, place: tuple[int, int], key: str = "") -> Fields:
        """A draft that was saved; under its own key where it has one of ours."""
        stored = self.stored(principal, place)
        own = writing.message_id_of(stored.root, stored.read).partition("@")[0]
        keep = tuple(one.number for one in files(stored.root))
        chosen = key or writing.key_of(own) or secrets.token_hex(16)
        return writing.reopened(chosen, place, stored.root, stored.read, keep)

    def state(self, principal: Principal, fields: Fields) -> dict[str, Any]:
        """Where a draft stands, for a script."""
        shown = self.files(principal, fields)
        source = f"{fields.source[0]}/{fields.source[1]}" if fields.source else ""
        return {
            "version": fields.version,
            "source": source,
            "files": [
                {"number": f.number, "name": f.name, "kind": f.kind, "colour": f.colour, "size": f.size} for f in shown
            ],
        }


def _message_id(principal: Principal, key: str) -> str:
    return f"{key}@{principal.address.rpartition('@')[2]}"


def spooling(parts: WebParts) -> type[Request]:
    """Requests whose files wait in the state directory, without names, until they were read."""
    folder = str(parts.state / INCOMING)

    class Spooled(Request):
        """A request of this application."""

        def _get_file_stream(
            self, total_content_length: int | None, content_type: str | None, filename: str | None = None,
            content_length: int | None = None,
        ) -> IO[bytes]:  # fmt: skip
            # closed with the request
            return SpooledTemporaryFile(max_size=64 * 1024, dir=folder)

    return Spooled


# --- pages ---------------------------------------------------------------------------------------------------------------


def routes_of_compose(work: Writing) -> Routes:
    """The routes of writing."""
    routes = Routes("compose")

    @routes.get("/compose", Access.USER)
    def new() -> Response:
        fields = Fields(
            key=secrets.token_hex(16),
            to=writing.visible_line(request.args.get("to", ""))[:2_000],
            subject=writing.visible_line(request.args.get("subject", ""))[: writing.SUBJECT_MOST],
        )
        return _editor(work, fields, "new")

    @routes.get("/compose/<any(reply, all, forward):how>/<int:box>/<int:uid>", Access.USER)
    def answer(how: str, box: int, uid: int) -> Response:
        return _editor(work, _answer(work, how, (box, uid)), how)

    @routes.get("/compose/draft/<int:box>/<int:uid>", Access.USER)
    def draft(box: int, uid: int) -> Response:
        return _editor(work, work.reopen(here().principal, (box, uid)), "draft")

    @routes.post("/compose", Access.USER, body=BODY_MOST)
    def act() -> Response:
        return _act(work)

    @routes.get("/outgoing/<key>", Access.USER)
    def outgoing(key: str) -> Response:
        return _outgoing(work, key)

    @routes.post("/outgoing/<key>/undo", Access.USER)
    def undo(key: str) -> Response:
        box, uid = work.undo(here().principal, writing.key_of(key))
        return moved(f"/compose/draft/{box}/{uid}")

    return routes


def _editor(
    work: Writing, fields: Fields, how: str, *, status: int = 200, notice: str = "", problem: str = ""
) -> Response:
    current = here()
    return page(
        "mail/compose.html",
        status,
        **framed(current, None),
        fields=fields,
        files=work.files(current.principal, fields),
        title=_TITLES.get(how, _TITLES["draft"]),
        how=how,
        notice=notice,
        problem=problem,
        references=" ".join(f"<{one}>" for one in fields.references),
        in_reply_to=" ".join(f"<{one}>" for one in fields.in_reply_to),
    )


def _answer(work: Writing, how: str, place: tuple[int, int]) -> Fields:
    """An answer to a message, in the language of whoever writes it."""
    current = here()
    stored = work.stored(current.principal, place)
    head, text = stored.read(0, stored.root.body_start), text_of(stored.root, stored.read)
    key = secrets.token_hex(16)

    def say(message: str, **params: object) -> str:
        return current.parts.pages.text(current.language, message, **params)

    if how == "forward":
        names = (say(N_("From")), say(N_("Date")), say(N_("Subject")), say(N_("To")))
        fields = writing.passed_on(key, head, text, title=say(N_("Forwarded message")), names=names)
        kept = tuple(one.number for one in files(stored.root))
        return replace(fields, origin=f"forward {place[0]} {place[1]}", source=place, keep=kept)
    letter = work.parts.store.listing.letter(current.principal, MailboxId(place[0]), place[1])
    who = writing.visible_line(letter.from_)[:200]
    when = datetime.fromtimestamp(letter.date / 1000, zone_of(current.view.zone)).strftime("%Y-%m-%d %H:%M")
    fields = writing.answer(
        key,
        head,
        text,
        everyone=how == "all",
        me=lambda address: current.parts.directory.may_use(current.principal.account, address),
        said=say(N_("On %(when)s, %(who)s wrote:"), when=when, who=who),
    )
    return replace(fields, origin=f"reply {place[0]} {place[1]}")


def _act(work: Writing) -> Response:
    current = here()
    fields = writing.read_form(request.form, request.form.getlist("keep"))
    do = request.form.get("do", "save")
    if not fields.key:
        raise Invalid("a form without a key")
    if do == "discard":
        return _discard(work, fields)
    if do == "send":
        with work.out.alone(fields.key):
            return _send(work, current, fields)
    if fields.errors:
        return _editor(work, fields, "draft", status=422, problem=_UNFINISHED)
    saved = work.save(current.principal, fields, _uploaded())
    if current.asked.fragment:
        data = json.dumps(work.state(current.principal, saved))
        return Response(data, mimetype="application/json", headers={"Cache-Control": "no-store"})
    return _editor(work, saved, "draft", notice=_SAVED)


def _discard(work: Writing, fields: Fields) -> Response:
    if fields.version:
        principal = here().principal
        box = work.special(principal, "\\Drafts")
        work.drafts.discard(principal, box, _message_id(principal, fields.key), fields.version)
    return moved("/mail/inbox")


def _send(work: Writing, current: Here, fields: Fields) -> Response:
    principal = current.principal
    if work.out.item(principal, fields.key) is not None:
        # the same form again: what it asks for has happened, but for what a crash may have left
        left = work.drafts.find(principal, work.special(principal, "\\Drafts"), _message_id(principal, fields.key))
        if left is not None:
            work.settle(principal, left, fields.key)
        return _after(work, current, fields)
    found, wrong = writing.recipients(fields)
    people = tuple({one.spec.lower(): one for each in found.values() for one in each}.values())
    errors = {**fields.errors, **wrong}
    if not errors:
        bad = work.out.unreachable(people)
        if bad is not None:
            name = next(name for name, each in found.items() if any(one.spec == bad.spec for one in each))
            errors[name] = Wrong(
                N_("%(address)s cannot get mail: there is nobody of that name."), {"address": bad.spec}
            )
    if not fields.errors:
        fields = work.save(principal, fields, _uploaded())
    if errors:
        return _editor(work, replace(fields, errors=errors), "draft", status=422, problem=_UNFINISHED)
    try:
        work.send(principal, fields, people)
    except Refused as error:
        return _editor(work, fields, "draft", status=422, problem=told(error))
    return _after(work, current, fields)


def _after(work: Writing, current: Here, fields: Fields) -> Response:
    """Where one goes on: to a page that offers to undo or, where a script shows that, to where one came from."""
    if request.form.get("toast") != "1":
        return moved(f"/outgoing/{fields.key}")
    back, origin = "/mail/inbox", writing.origin_of(fields.origin)
    if origin is not None:
        try:
            letter = work.parts.store.listing.letter(current.principal, MailboxId(origin[1]), origin[2])
            box = work.parts.store.mailboxes.get_id(current.principal, letter.mailbox)
            back = f"/mail/{folder_of(box).slug}/t{letter.thread}"
        except StoreError:
            # it is gone, or in a folder that is no longer shared
            back = "/mail/inbox"
    return moved(f"{back}?sent={fields.key}")


def _uploaded() -> tuple[Attachment, ...]:
    """The files that came with the form."""
    return tuple(
        Attachment(one.read(), (one.mimetype or "application/octet-stream"), writing.file_name(one.filename))
        for one in request.files.getlist("files")[:50]
        if one.filename
    )


def _outgoing(work: Writing, key: str) -> Response:
    """A message that was sent, and until when that can be undone."""
    current = here()
    principal, name = current.principal, writing.key_of(key)
    if not name or work.out.item(principal, name) is None:
        raise NotFound(f"nothing was sent as {key}")
    sent = work.special(principal, "\\Sent")
    uid = work.drafts.find(principal, sent, _message_id(principal, name))
    if uid is None:
        raise NotFound(f"{name} is not in Sent")
    letter = work.parts.store.listing.letter(principal, sent, uid)
    left = max(0, work.out.undo_seconds - (current.parts.clock.now() - letter.date) // 1000)
    left = min(left, work.out.undo_seconds)
    if current.asked.fragment:
        return Response(json.dumps({"left": left}), mimetype="application/json", headers={"Cache-Control": "no-store"})
    return page("mail/outgoing.html", letter=letter, key=name, left=left)
