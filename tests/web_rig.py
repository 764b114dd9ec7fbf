"""A browser without a screen: keeps cookies, reads the CSRF token of the page it saw last, sends what a form sends.

with house() as h:
    ann = Browser(h)
    ann.sign_in("ann@example.test", "secret")
    page = ann.get("/webmail/security")
    page = ann.post("/webmail/security/sessions/end", session="7")
"""

from __future__ import annotations

import gzip
import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from tests.house import House

PASSWORD = "secret"
TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body, unpacked."""
        packed = self.headers.get("Content-Encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()

    @property
    def token(self) -> str:
        """The CSRF token of the page's first form."""
        found = TOKEN.search(self.text)
        assert found, self.text[:2000]
        return found[1]

    @property
    def location(self) -> str:
        """Where it leads."""
        return self.headers.get("Location", "")

    def cookies(self) -> dict[str, str]:
        """The Set-Cookie lines by name."""
        return {line.split("=", 1)[0]: line for line in self.headers.get_all("Set-Cookie") or []}


@dataclass
class Browser:
    """One browser on one house; over HTTPS as strangers come, or over plain HTTP as on a trial."""

    house: House
    secure: bool = True
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """The listener it talks to."""
        return self.house.port("https" if self.secure else "http")

    @property
    def origin(self) -> str:
        """Its idea of where it is."""
        return f"{'https' if self.secure else 'http'}://localhost:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request with the cookies; what is set is kept."""
        if self.secure:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "localhost", self.port, timeout=20, context=self.house.tls()
            )
        else:
            connection = http.client.HTTPConnection("localhost", self.port, timeout=20)
        sent = {"Accept-Language": "en", **self.headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent.update(headers or {})
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        self._keep(answer)
        return answer

    def _keep(self, answer: Answer) -> None:
        for name, line in answer.cookies().items():
            value = line.split(";")[0].split("=", 1)[1]
            if value and "Max-Age=0" not in line:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        if answer.headers.get_content_type() == "text/html" and (found := TOKEN.search(answer.text)):
            self.token = found[1]

    def get(self, path: str, **headers: str) -> Answer:
        """Open a page; its token is remembered."""
        return self.ask("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, fields: Mapping[str, str] | None = None, *, origin: str | None = None) -> Answer:
        """Send a form of the page that was opened last."""
        data = urlencode({"csrf": self.token, **(fields or {})})
        head = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin or self.origin}
        return self.ask("POST", path, data, head)

    def sign_in(self, identity: str, password: str = PASSWORD, face: str = "/webmail") -> Answer:
        """Open the sign-in page and send it."""
        self.get(f"{face}/login")
        return self.post(f"{face}/login", {"identity": identity, "password": password})
