"""The octets of one outgoing connection: an asyncio protocol with back-pressure both ways, and TLS begun in the middle.

Promises: at most READ_MOST octets wait unread, then reading pauses; `write` returns when the system has taken what was
written; whatever ends the connection, `receive` gives what had come and then b"".
May not: know SMTP or time limits.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

READ_MOST = 65_536


class Line(asyncio.Protocol):
    """One connection, from connect to close."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ended = False
        self._paused = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    @classmethod
    async def connect(cls, address: str, port: int) -> Line:
        """Connect to an IP address; raises OSError."""
        _, line = await asyncio.get_running_loop().create_connection(cls, address, port)
        return line

    # --- what the loop tells ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # write() waits until everything is with the system, so that no large message waits in a buffer of ours
        self._transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._arrived.set()
        if len(self._buffer) > READ_MOST and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _end(self) -> None:
        self._ended = True
        self._arrived.set()
        self._writable.set()

    # --- what the session asks --------------------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether something waits to be received, if only the end."""
        return bool(self._buffer) or self._ended

    async def receive(self) -> bytes:
        """What has come since; b"" when the connection has ended."""
        while not self.pending:
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send; returns when the system has it all. Raises ConnectionError when the connection has ended."""
        if self._ended or self._transport is None:
            raise ConnectionResetError
        self._transport.write(data)
        await self._writable.wait()
        if self._ended:
            raise ConnectionResetError

    async def start_tls(self, context: ssl.SSLContext, name: str, seconds: float) -> None:
        """Do the handshake; raises OSError (ssl.SSLError among them), after which the line is of no more use.

        Nothing may be pending: octets that came in the clear would be read as if they had come under TLS.
        """
        assert self._transport is not None
        assert not self.pending
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(
            self._transport, self, context, server_hostname=name, ssl_handshake_timeout=seconds
        )
        if secured is None:
            raise ConnectionResetError
        self._transport = secured
        # asyncio's TLS pauses at >= high, where plain transports pause at > high
        self._transport.set_write_buffer_limits(high=1)

    def same_machine(self) -> bool:
        """Whether the other end has our own address: we are talking to ourselves."""
        assert self._transport is not None
        here, there = self._transport.get_extra_info("sockname"), self._transport.get_extra_info("peername")
        return bool(here and there and here[0] == there[0])

    def tls_version(self) -> str | None:
        """`TLSv1.3`, or None in the clear."""
        found = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return found.version() if found is not None else None

    def certificates(self) -> list[bytes]:
        """What the other end showed in the handshake, as DER, its own first; nothing in the clear."""
        found = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        if found is None:
            return []
        # a public method from Python 3.13 on
        inner = found if hasattr(found, "get_unverified_chain") else found._sslobj
        shown = inner.get_unverified_chain() or []
        return [one if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in shown]

    def close(self) -> None:
        """End the connection after what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it at once: nothing more is sent."""
        if self._transport is not None:
            self._transport.abort()
