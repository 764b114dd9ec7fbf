"""The visitor of a request: which cookie it brought, which session that is, and what a form needs to prove itself.

Promises (RELIABILITY N1, N3): cookies are `__Host-mail` and `__Host-admin`, Secure, HttpOnly, SameSite, for the whole host
and no other; over plain HTTP on loopback, in a trial only, the same without the prefix and Secure. A visitor without a
session has a cookie too, which is kept nowhere: it only binds the token of the sign-in form. No token is ever taken over
from a client: signing in issues another one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from appliance.web.access import Face
from appliance.web.guard import CSRF_HEADER, TOKEN, Asked, Tokens
from data.directory.sessions import Session, Sessions

LANGUAGE_COOKIE: Final = "lang"
_YEAR: Final = 31_536_000


def cookie_name(name: str, *, secure: bool) -> str:
    """The cookie's name; the prefix makes browsers insist on Secure, Path=/ and no Domain (RFC 6265bis §4.1.3)."""
    return f"__Host-{name}" if secure else name


def set_cookie(face: Face, token: str, *, secure: bool) -> str:
    """The Set-Cookie line of a token; it ends with the browser, the session at the latest after 14 days."""
    return _line(cookie_name(face.cookie, secure=secure), token, face.same_site, secure=secure)


def clear_cookie(face: Face, *, secure: bool) -> str:
    """The Set-Cookie line that takes it away."""
    return _line(cookie_name(face.cookie, secure=secure), "", face.same_site, secure=secure) + "; Max-Age=0"


def language_cookie(language: str, *, secure: bool) -> str:
    """The Set-Cookie line of the language chosen before signing in."""
    return _line(cookie_name(LANGUAGE_COOKIE, secure=secure), language, "Lax", secure=secure) + f"; Max-Age={_YEAR}"


def _line(name: str, value: str, same_site: str, *, secure: bool) -> str:
    return f"{name}={value}; Path=/; HttpOnly; SameSite={same_site}" + ("; Secure" if secure else "")


def read_cookies(header: str | None) -> Mapping[str, str]:
    """The cookies of a request, the first of each name (RFC 6265 §5.4); hostile input gives nothing."""
    found: dict[str, str] = {}
    for part in (header or "")[:16_384].split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name:
            found.setdefault(name, value)
    return found


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sends a request to a face. `cookie` is what binds CSRF tokens; `fresh` when the browser has yet to get it."""

    face: Face
    cookie: str
    fresh: bool
    session: Session | None


class Doorman:
    """Tells who comes to a face."""

    def __init__(self, sessions: Sessions, tokens: Tokens) -> None:
        self.sessions, self.tokens = sessions, tokens

    def cookie(self, face: Face, asked: Asked) -> str:
        """The value of the face's cookie, if it looks like one of ours."""
        value = read_cookies(asked.header("Cookie")).get(cookie_name(face.cookie, secure=asked.secure), "")
        return value if TOKEN.match(value) else ""

    def visitor(self, face: Face, asked: Asked) -> Visitor:
        """The visitor, with the session if there is one; reads the database."""
        cookie = self.cookie(face, asked)
        session = self.sessions.find(face.name, cookie) if cookie else None
        if session is not None:
            self.sessions.touch(session)
        return Visitor(face, cookie or secrets.token_urlsafe(32), not cookie, session)

    def session(self, face: Face, asked: Asked) -> Session | None:
        """The session alone, without noting that it is in use."""
        cookie = self.cookie(face, asked)
        return self.sessions.find(face.name, cookie) if cookie else None

    def proved(self, face: Face, asked: Asked, field: str | None) -> bool:
        """Does the request bring the token of its cookie, in a header or in the form's `field`?"""
        return self.tokens.fits(face.name, self.cookie(face, asked), asked.header(CSRF_HEADER) or field)
