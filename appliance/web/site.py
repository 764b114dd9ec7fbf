"""The site: who answers a request. WSGI applications on a pool of threads, native resources on the loop, static files.

Promises (RELIABILITY N18): a request for a host that is not ours is answered 421, nonsense 400, a method that nobody
takes 405, before anything else is looked at; plain HTTP is for a trial on loopback, everybody else is sent to the
canonical address, which comes from the configuration. `/` leads to the webmail, `/healthz` answers whoever probes.
May not: know a page. What must be awaited before a page (the login gate) is a step that the face declares.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from twisted.internet.protocol import Factory
from twisted.python.threadpool import ThreadPool
from twisted.web.wsgi import WSGIResource

from appliance.net.sockets import is_loopback, network_of, normal_peer
from appliance.ratelimit import Gauge
from appliance.web import guard
from appliance.web.access import BODY_DEFAULT, FACES, Access, Face, WebApp, allows
from appliance.web.apps import ASKED, PROOF
from appliance.web.channel import Channel, Request, headers
from appliance.web.flow import STEPS
from appliance.web.guard import Asked
from appliance.web.native import Call, Native, query_of
from appliance.web.pages import View
from appliance.web.parts import WebParts
from appliance.web.statics import IMMUTABLE, PREFIX
from data.errors import NotFound, OverQuota, Refused, StoreError, TooBig, Unavailable

TOLD_MOST: Final = 8
"""Connections of one network beyond its limit that are told so, at a time; the others are just closed."""
_STEP_MOST: Final = 16 * 1024
"""Octets of a form that is looked at on the loop."""
_STATUS: Final[tuple[tuple[type[StoreError], int], ...]] = (
    (NotFound, 404),
    (Refused, 403),
    (TooBig, 413),
    (OverQuota, 507),
    (Unavailable, 503),
)


class Site(Factory):
    """Makes and minds the connections of both listeners; `secure` tells them apart."""

    noisy = False

    def __init__(self, parts: WebParts, pool: ThreadPool, apps: Mapping[str, WebApp], *, folder: Path) -> None:
        """`apps` by the name of their face; `folder` holds bodies on their way in."""
        from twisted.internet import reactor

        self.parts, self.folder, self.workers = parts, folder, parts.workers
        production = parts.config.profile == "production"
        self.headers = headers(strict_transport=guard.HSTS if production else None)
        self.channels: set[Channel] = set()
        self.draining = False
        self.apps = apps
        self.natives: dict[str, list[Native]] = {name: [] for name in ("", *(face.name for face in FACES))}
        self._pool, self._reactor = pool, reactor
        self._loop = asyncio.get_running_loop()
        limits = parts.config.limits
        self._peers, self._most = Gauge(limits.connections_per_ip), limits.connections
        self._told, self._hearing = Gauge(TOLD_MOST), set[Channel]()
        self._bodies = {
            face.prefix + path: most
            for face in FACES
            if face.name in apps
            for path, most in apps[face.name].bodies().items()
        }
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, face: Face | None, native: Native) -> None:
        """One more native resource, below a face or at the root."""
        self.natives[face.name if face is not None else ""].append(native)

    # --- connections ------------------------------------------------------------------------------------------------------

    def buildProtocol(self, addr: Any) -> Channel:
        """Somebody connected."""
        channel = Channel(self)
        channel.factory = self
        return channel

    def now(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    def joined(self, channel: Channel) -> bool:
        """Count it in, if there is room."""
        peer = normal_peer(channel.getPeer().host)
        exempt = self.parts.config.bench and is_loopback(peer)
        if self.draining or (len(self.channels) >= self._most and not exempt):
            self.parts.metrics.refused("web", "drain" if self.draining else "limit")
            return False
        if not exempt and not self._peers.enter(network_of(peer)):
            self.parts.metrics.refused("web", "limit")
            self.parts.log.info("refused", why="limit", peer=peer)
            return False
        self.channels.add(channel)
        self.parts.metrics.connected("web")
        return True

    def told(self, channel: Channel) -> bool:
        """There is no room for it: may it stay until it has heard so?"""
        if not self._told.enter(network_of(normal_peer(channel.getPeer().host))):
            return False
        self._hearing.add(channel)
        return True

    def left(self, channel: Channel) -> None:
        """It is gone."""
        if channel in self._hearing:
            self._hearing.discard(channel)
            self._told.leave(network_of(normal_peer(channel.getPeer().host)))
        if channel not in self.channels:
            return
        self.channels.discard(channel)
        self.parts.metrics.disconnected("web")
        peer = normal_peer(channel.getPeer().host)
        if not (self.parts.config.bench and is_loopback(peer)):
            self._peers.leave(network_of(peer))

    def look(self) -> None:
        """A look at the clock for every connection."""
        now = self.now()
        for channel in tuple(self.channels):
            channel.look(now)

    def most(self, method: bytes, path: bytes) -> int:
        """Octets the body of a request may have; the route says so, a form's size where it says nothing."""
        plain = path.split(b"?", 1)[0].decode("latin-1")
        if method != b"POST":
            return 0
        face, rest = self._place(plain)
        native = self._native(face, rest, "POST")
        return native.body if native is not None else self._bodies.get(plain, BODY_DEFAULT)

    def log(self, request: Any) -> None:
        """One line for each answer, for whoever looks for a fault; no query, for it may hold what was searched."""
        path = request.path or b""
        self.parts.log.debug(
            "web", peer=request.getClientAddress().host, method=request.method, path=path, status=request.code
        )

    # --- dispatch -----------------------------------------------------------------------------------------------------------

    def dispatch(self, request: Request) -> None:
        """Answer, or hand on to whoever answers."""
        try:
            self._dispatch(request)
        except Exception as error:
            self.parts.log.failure(error, "failure", path=request.path)
            self.fail(request, 500)

    def _dispatch(self, request: Request) -> None:
        path = unquote(request.path.decode("latin-1"), errors="replace")
        asked = self.asked(request)
        face, rest = self._place(request.path.decode("latin-1"))
        native = self._native(face, rest, asked.method)
        if native is not None and native.open_host and asked.safe:
            self._start(self._answer(request, asked, face, rest, native))
            return
        status = self._unfit(request, asked)
        if status:
            self.parts.log.info("refused", why=status, peer=asked.peer, host=asked.header("Host"), path=request.path)
            self.fail(request, status)
        elif not self._plain_allowed(asked):
            self._to_canonical(request, asked)
        elif path.startswith(PREFIX):
            self._static(request, path)
        elif native is not None:
            self._start(self._answer(request, asked, face, rest, native))
        elif face is not None and rest.startswith("/"):
            self._page(request, asked, face, rest)
        else:
            self._rest(request, asked, path)

    def asked(self, request: Request) -> Asked:
        """The request in the guard's terms."""
        secure = bool(request.isSecure())
        raw = request.requestHeaders

        def header(name: str) -> str | None:
            values = raw.getRawHeaders(name.encode("ascii"))
            return ", ".join(value.decode("utf-8", "replace") for value in values) if values else None

        host = (header("Host") or "").lower()
        origin = f"{'https' if secure else 'http'}://{host}"
        peer = normal_peer(request.getClientAddress().host)
        return Asked(request.method.decode("latin-1"), request.path.decode("latin-1"), origin, secure, peer, header)

    def _unfit(self, request: Request, asked: Asked) -> int:
        """Why it cannot be answered at all, as a status; 0 when it can."""
        if not request.path.startswith(b"/") or len(request.uri) > 8_192:
            return 400
        if not self.parts.hosts.knows(asked.header("Host")):
            return 421
        return 0 if asked.method in guard.METHODS else 405

    def _plain_allowed(self, asked: Asked) -> bool:
        return asked.secure or (self.parts.hosts.loopback and is_loopback(asked.peer))

    def _place(self, path: str) -> tuple[Face | None, str]:
        """The face a path belongs to, and the rest of the path."""
        for face in FACES:
            if path == face.prefix or path.startswith(face.prefix + "/"):
                return face, path[len(face.prefix) :]
        return None, path

    def _native(self, face: Face | None, rest: str, method: str) -> Native | None:
        wanted = "GET" if method == "HEAD" else method
        found = self.natives[face.name if face is not None else ""]
        return next((one for one in found if one.method == wanted and one.takes(rest)), None)

    # --- answers ------------------------------------------------------------------------------------------------------------

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request, asked: Asked, face: Face | None, rest: str, native: Native) -> None:
        call = Call(request, asked, rest[len(native.path) :], None, self.workers.blocking, query_of(request.uri))
        try:
            if face is not None:
                visitor = await self.workers.blocking(self.parts.doorman.visitor, face, asked)
                call.session = visitor.session
                if not asked.safe and not (guard.from_here(asked) and self.parts.doorman.proved(face, asked, None)):
                    call.say(403, "This request did not come from one of our pages")
                    return
                if not allows(native.access, face, visitor.session):
                    call.say(401 if visitor.session is None else 403, "Sign in first")
                    return
            elif native.access is not Access.PUBLIC:
                raise RuntimeError("a resource at the root is public")
            await native.answer(call)
        except StoreError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
            self._failed(call, error, status, error.public)
        except Exception as error:
            self._failed(call, error, 500, "Something went wrong here; it was written to the log")

    def _failed(self, call: Call, error: Exception, status: int, text: str) -> None:
        if status >= 500:
            self.parts.log.failure(error, "web", path=call.asked.path)
        if call.request.startedWriting or call.gone:
            call.request.channel.abort()
        else:
            call.say(status, text)

    def _page(self, request: Request, asked: Asked, face: Face, rest: str) -> None:
        app = self.apps.get(face.name)
        if app is None:
            self.fail(request, 404)
            return
        step = STEPS.get(rest) if asked.method == "POST" else None
        if step is None:
            self._to_threads(request, asked, face, app, None)
            return

        async def first() -> None:
            proof = await step(self.parts, face, asked, self._form(request))
            if not request._disconnected:
                self._to_threads(request, asked, face, app, proof)

        async def guarded() -> None:
            try:
                await first()
            except Exception as error:
                self.parts.log.failure(error, "failure", path=request.path)
                self.fail(request, 500)

        self._start(guarded())

    def _form(self, request: Request) -> Mapping[str, str]:
        """The fields of a small form; nothing of a large one."""
        body = request.body
        if body is None or body.size > _STEP_MOST:
            return {}
        data = body.file.read()
        body.file.seek(0)
        try:
            return dict(parse_qsl(data.decode("utf-8", "replace"), max_num_fields=20))
        except ValueError:
            return {}

    def _to_threads(self, request: Request, asked: Asked, face: Face, app: WebApp, proof: object) -> None:
        """Hand over to the pages."""
        depth = len(face.prefix.strip("/").split("/"))
        segments = [unquote_octets(part) for part in request.path[1:].split(b"/")]
        request.prepath, request.postpath = segments[:depth], segments[depth:]
        if asked.method != "POST":
            request.requestHeaders.removeHeader(b"Content-Length")

        def application(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            return app({**environ, ASKED: asked, PROOF: proof}, start)

        make: Any = WSGIResource
        make(self._reactor, self._pool, application).render(request)

    def _static(self, request: Request, path: str) -> None:
        asset = self.parts.pages.statics.find(path[len(PREFIX) :])
        if asset is None or request.method == b"POST":
            self.fail(request, 404)
            return
        give = request.responseHeaders.setRawHeaders
        give("Cache-Control", [IMMUTABLE])
        give("Content-Type", [asset.type])
        give("ETag", [asset.etag])
        data = asset.plain
        if asset.packed is not None:
            give("Vary", ["Accept-Encoding"])
            if b"gzip" in (request.getHeader(b"Accept-Encoding") or b""):
                give("Content-Encoding", ["gzip"])
                data = asset.packed
        if request.getHeader(b"If-None-Match") == asset.etag.encode():
            self._finish(request, 304, b"")
        else:
            self._finish(request, 200, data)

    def _rest(self, request: Request, asked: Asked, path: str) -> None:
        bare = {"/": "/webmail/", **{face.prefix: face.prefix + "/" for face in FACES}}
        if path in bare and asked.safe:
            self._redirect(request, 302, bare[path])
        else:
            self.fail(request, 404)

    def _to_canonical(self, request: Request, asked: Asked) -> None:
        """Plain HTTP shows nothing: to the address of the configuration, with TLS."""
        target = self.parts.hosts.canonical
        if asked.safe and target.startswith("https://"):
            self._redirect(request, 308, target + request.uri.decode("latin-1"))
        else:
            self.fail(request, 403)

    def _redirect(self, request: Request, status: int, target: str) -> None:
        request.responseHeaders.setRawHeaders("Location", [target.encode("latin-1", "replace").decode("latin-1")])
        self._finish(request, status, b"")

    def fail(self, request: Request, status: int) -> None:
        """A page in words, for whoever never came to a face."""
        if request.startedWriting or request._disconnected:
            if not request._disconnected:
                request.channel.abort()
            return
        pages = self.parts.pages
        language = pages.language(self.asked(request).header("Accept-Language"))
        request.responseHeaders.setRawHeaders("Content-Type", ["text/html; charset=utf-8"])
        if status == 405:
            request.responseHeaders.setRawHeaders("Allow", ["GET, HEAD, POST"])
        self._finish(request, status, pages.error(status, View(language)).encode())

    def _finish(self, request: Request, status: int, data: bytes) -> None:
        request.setResponseCode(status)
        if status != 304:
            request.responseHeaders.setRawHeaders("Content-Length", [str(len(data))])
        request.write(data)
        request.finish()


def unquote_octets(part: bytes) -> bytes:
    """One segment of a path without its percent signs."""
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(part)
