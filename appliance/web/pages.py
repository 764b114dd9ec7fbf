"""What a person sees: one template environment for both faces, texts in the reader's language, times in their zone.

Promises: everything is escaped unless it was made as markup here; an undefined name in a template is an error; a page
names its language and theme in <html>, so that it is right at first paint. The only importer of jinja2 and segno.
May not: decide who sees a page, or read anything but templates.

Every template may use: `_(text, name=...)` and `ngettext`, `tell(text, params)` for a text that was marked elsewhere, `static(name)`, `icon(name, class)`, `csrf()` (a hidden field),
`face`, `path(rest)`, `language`, `theme`, `me` (the account signed in, or None), and the filters `when`, `day`, `octets`.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from appliance.i18n import N_, Catalogue
from appliance.web.access import Face
from appliance.web.statics import Statics
from data.clock import Clock
from data.directory.facts import Account

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")
LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh_CN": "简体中文"}
"""The languages of the pages, each by its own name."""
TAGS: Final[Mapping[str, str]] = {"en": "en", "zh_CN": "zh-Hans"}
"""What stands in `lang`."""
_SYMBOL: Final = re.compile(r'<symbol id="([a-z0-9-]+)" viewBox="0 0 24 24">(.*?)</symbol>', re.S)
_UNITS: Final = ("B", "KB", "MB", "GB", "TB")

FAILURES: Final[Mapping[int, tuple[str, str]]] = {
    400: (N_("This request is broken"), N_("The browser sent something that makes no sense here. Nothing was changed.")),
    403: (N_("That was not accepted"), N_("Nothing was changed. Go back, load the page again and repeat it.")),
    404: (N_("There is nothing here"), N_("The page may have moved, or the message is in another folder now.")),
    405: (N_("This cannot be done that way"), N_("Nothing was changed. Go back and use the button on the page.")),
    413: (N_("That is too large"), N_("The server does not take that much at once. Nothing was stored.")),
    421: (N_("Wrong address"), N_("This server does not answer under that name. Use the address your administrator gave you.")),
    429: (N_("Too many requests"), N_("Wait a moment, then try again.")),
    500: (N_("Something went wrong here"), N_("It was written to the log. Your mail is safe; try again in a moment.")),
    503: (N_("Not available right now"), N_("The server is starting, stopping or very busy. Your mail is safe; try again in a moment.")),
}  # fmt: skip
"""Error pages: what happened, and what it means for the mail."""


@dataclass(frozen=True, slots=True)
class View:
    """For whom a page is made."""

    language: str
    theme: str = "system"
    face: Face | None = None
    me: Account | None = None
    token: Callable[[], str] = field(default=lambda: "")
    zone: str = "UTC"


class Pages:
    """Makes pages; one for the process, used from any thread."""

    def __init__(
        self, catalogue: Catalogue, statics: Statics, clock: Clock, folders: Mapping[str, Path], name: Callable[[], str]
    ) -> None:
        """`folders` holds the templates of each face by its name; those of the ground have no prefix. `name` tells whose mail."""
        self.catalogue, self.statics, self._clock, self._name = catalogue, statics, clock, name
        loaders = {prefix: FileSystemLoader(folder) for prefix, folder in {"web": TEMPLATES, **folders}.items()}
        self._env = Environment(
            loader=PrefixLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        self._guard = threading.Lock()
        self._drawings = {found[1]: Markup(found[2]) for found in _SYMBOL.finditer(statics.text("icons.svg"))}
        self._install()

    def render(self, template: str, view: View, **values: Any) -> str:
        """A whole page, or a fragment; `template` as "mail/list.html", "web/error.html"."""
        return self._env.get_template(template).render({**self._context(view), **values})

    def error(self, status: int, view: View, *, title: str | None = None, text: str | None = None) -> str:
        """A page that says what went wrong, in words."""
        usual = FAILURES.get(status, FAILURES[500])
        return self.render("web/error.html", view, status=status, title=title or usual[0], text=text or usual[1])

    def text(self, language: str, message: str, **params: object) -> str:
        """A text outside a template."""
        return self.catalogue.text(language, message, **params)

    def language(self, header: str | None) -> str:
        """The language of ours that fits an Accept-Language header best (RFC 9110 §12.5.4)."""
        for tag in _wanted(header):
            for name in LANGUAGES:
                if tag.split("-")[0] == name.split("_")[0].lower():
                    return name
        return "en"

    # --- the environment ------------------------------------------------------------------------------------------------

    def _context(self, view: View) -> dict[str, Any]:
        face = view.face
        return {
            "language": view.language,
            "lang": TAGS[view.language],
            "theme": view.theme,
            "face": face,
            "me": view.me,
            "zone": view.zone,
            "brand": self._name(),
            "path": face.path if face is not None else lambda rest="/": rest,
            "csrf": lambda: Markup('<input type="hidden" name="csrf" value="%s">') % view.token(),
            "csrf_token": view.token,
        }

    def _install(self) -> None:
        catalogue = self.catalogue

        @pass_context
        def gettext(context: Context, message: str) -> str:
            return catalogue.text(context["language"], message)

        @pass_context
        def ngettext(context: Context, singular: str, plural: str, count: int) -> str:
            return catalogue.form(context["language"], (singular, plural), count)

        @pass_context
        def tell(context: Context, message: str, params: Mapping[str, object] | None = None) -> str:
            return catalogue.text(context["language"], message, **(params or {}))

        self._env.globals["tell"] = tell
        installed: Any = self._env
        installed.install_gettext_callables(gettext, ngettext, newstyle=True)
        self._env.globals.update(static=self.statics.url, icon=self.icon, qr=qr, languages=LANGUAGES)
        self._env.globals["tone"] = tone
        self._env.globals["initials"] = initials
        self._env.filters.update(when=self._when, day=self._day, moment=self._moment, octets=_octets, number=_number)
        self._env.filters.update(browser=browser, iso=_iso)

    def icon(self, name: str, extra: str = "", *, drawn: bool = False) -> Markup:
        """A drawing of the sprite, or for a page with few (`drawn`) of its own; it says nothing to a screen reader."""
        if drawn:
            return Markup('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">%s</svg>') % self._drawings[name]
        shape = Markup('<svg class="icon%s" aria-hidden="true"><use href="%s#%s"></use></svg>')
        return shape % (f" {extra}" if extra else "", self.statics.url("icons.svg"), name)

    # --- times ----------------------------------------------------------------------------------------------------------

    @staticmethod
    @pass_context
    def _moment(context: Context, millis: int) -> str:
        """A full date and time."""
        return format_datetime(_local(millis, context["zone"]), "medium", locale=_locale(context["language"]))

    @pass_context
    def _when(self, context: Context, millis: int) -> str:
        """A time as a list shows it: the hour of today, the weekday of this week, otherwise the date."""
        zone, locale = context["zone"], _locale(context["language"])
        at, now = _local(millis, zone), _local(self._clock.now(), zone)
        days = (now.date() - at.date()).days
        if days == 0:
            return format_time(at, "short", locale=locale)
        if 0 < days < 7:
            return format_date(at, "EEE", locale=locale)
        if at.year == now.year:
            return format_date(at, "d MMM" if context["language"] == "en" else "M月d日", locale=locale)
        return format_date(at, "short" if context["language"] == "en" else "yyyy/M/d", locale=locale)

    @pass_context
    def _day(self, context: Context, millis: int) -> str:
        """How long ago something was, roughly."""
        ago = (millis - self._clock.now()) // 1000
        return format_timedelta(ago, add_direction=True, locale=_locale(context["language"]))


def _wanted(header: str | None) -> Sequence[str]:
    weighted = []
    for place, part in enumerate((header or "")[:500].lower().split(",")):
        tag, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            weight = 0.0
        if tag and weight > 0:
            weighted.append((-weight, place, tag.strip()))
    return [tag for _, _, tag in sorted(weighted)]


def _locale(language: str) -> Locale:
    return Locale.parse(language)


def zone_of(name: str) -> tzinfo:
    """The time zone of that name, or UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _local(millis: int, zone: str) -> datetime:
    return datetime.fromtimestamp(max(0, min(millis, 253_402_214_400_000)) / 1000, zone_of(zone))


def _iso(millis: int) -> str:
    """For `datetime`: UTC, to the second."""
    return _local(millis, "UTC").strftime("%Y-%m-%dT%H:%M:%SZ")


@pass_context
def _octets(context: Context, count: int) -> str:
    """A size in words: 214 KB."""
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    shown = round(size, 1 if unit > 1 and size < 10 else 0)
    return f"{format_decimal(shown, locale=_locale(context['language']))} {_UNITS[unit]}"


@pass_context
def _number(context: Context, count: int) -> str:
    return format_decimal(count, locale=_locale(context["language"]))


def tone(text: str) -> str:
    """The colour class of an avatar or label: the same text has the same one everywhere."""
    return f"c{sum(text.lower().encode()) % 8 + 1}"


def initials(name: str) -> str:
    """One or two letters for an avatar."""
    words = [word for word in "".join(c if c.isalnum() else " " for c in name).split() if word]
    if not words:
        return "?"
    if ord(words[0][0]) > 0x2E7F:
        return words[0][0]
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


def qr(text: str, label: str) -> Markup:
    """A QR code as an SVG of attributes only, black on white whatever the theme."""
    import segno  # seldom shown, and half a megabyte in every server otherwise

    stream = io.BytesIO()
    segno.make(text, error="m").save(
        stream, kind="svg", xmldecl=False, svgns=True, omitsize=True, nl=False, border=3, dark="#000", light="#fff",
        svgclass="qr", lineclass=None,
    )  # fmt: skip
    drawing = Markup(stream.getvalue().decode())
    return Markup('<div class="qr-box" role="img" aria-label="%s">') % escape(label) + drawing + Markup("</div>")


_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser(agent: str) -> str:
    """A User-Agent header as a person would say it: "Firefox, Windows"; otherwise its beginning."""
    names = [next((name for mark, name in table if mark in agent), "") for table in (_BROWSERS, _SYSTEMS)]
    return ", ".join(filter(None, names)) or agent[:40] or "?"
