"""What a client can take of us: connections, time, bytes, requests at once. All else that it does costs it alone."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 2_000
"""Whoever comes then is hung up on: that holds nobody else up."""
ARRIVE_SECONDS = 10.0
"""Of a connection on which no request has come whole by then, but for its body, nothing more is awaited."""
BODY_SECONDS = 10.0
STALLED_SECONDS = 20.0
"""A client that takes so long to read nothing of what waits for it is hung up on."""
REQUEST_SECONDS = 60.0
"""From its head to the last byte that its client takes; an answer is waited for half as long at most."""
REQUESTS_MAX = 256
"""At once. More are told to come again."""
BODY_BYTES_MAX = 256 * 1024
HEAD_BYTES_MAX = 32 * 1024
KEEP_ALIVE_SECONDS = 5


class ImpatientProtocol(H11Protocol):
    """Waits for no request for ever. uvicorn's own limit on connections answers nobody once so many are merely open,
    and its own timeouts begin with the first answer."""

    _arriving: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
        else:
            self._arriving = self.loop.call_later(ARRIVE_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._arriving, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_idle() and self._arriving is None:
            self._arriving = self.loop.call_later(ARRIVE_SECONDS, self._look)
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
        super().resume_writing()

    def _look(self) -> None:
        self._arriving = None
        if self._is_idle() and self.timeout_keep_alive_task is None:
            self.transport.abort()

    def _is_idle(self) -> bool:
        """No request has come, or its answer is out."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete is True


SERVER: dict[str, Any] = {
    "http": ImpatientProtocol,
    "h11_max_incomplete_event_size": HEAD_BYTES_MAX,
    "timeout_keep_alive": KEEP_ALIVE_SECONDS,
    "ws": "none",
    "server_header": False,
    "lifespan": "off",
}
"""How uvicorn serves it (`shared.runtime.web.serve`)."""


class Bounded:
    """The bounds of one request, whose body is here before anybody is asked. `refuse`: how it is said what lies beyond
    them: (status, sentence, headers)."""

    def __init__(self, app: ASGIApp, refuse: Callable[[int, str, dict[str, str]], ASGIApp]) -> None:
        self.app, self.refuse = app, refuse
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self._requests >= REQUESTS_MAX:
            busy = self.refuse(503, "So many ask at once that yours would wait too long.", {"retry-after": "1"})
            await busy(scope, receive, send)
        else:
            self._requests += 1
            try:
                await self._in_time(scope, receive, send)
            finally:
                self._requests -= 1

    async def _in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def noted(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._answered(scope, receive, noted)
        except TimeoutError:
            log.info("a request took too long and was given up")
            if not began:  # else its connection is closed, in the midst of the answer
                late = self.refuse(503, "It took too long.", {"retry-after": "5", "connection": "close"})
                await late(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(scope, receive)
        except TimeoutError:
            slow = self.refuse(408, f"A body comes within {BODY_SECONDS:.0f} seconds.", {"connection": "close"})
            await slow(scope, receive, send)
        else:
            if body is None:
                long = self.refuse(413, f"A body has at most {BODY_BYTES_MAX} bytes.", {"connection": "close"})
                await long(scope, receive, send)
            else:
                await self.app(scope, _given(body, receive), send)


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """None: it is too long."""
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if int(declared) > BODY_BYTES_MAX:  # that it is a number its protocol has seen to
        return None
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
        if len(body) > BODY_BYTES_MAX:
            return None
    return body


def _given(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
