"""Where a process is asked over HTTP how it is, from its first moment on."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

import uvicorn

from shared.runtime.problems import Problem
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)


def listen(settings: Settings) -> socket.socket:
    """Where, is said in the log. Raises SystemExit where nobody may listen."""
    host, port = settings.http_host, settings.http_port
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SystemExit(f"RECOURSE_HTTP_PORT: nobody may listen on {host}, port {port}: {error.strerror}") from None
    where = f"[{host}]" if ":" in host else host
    log.info("listening", extra={"http": f"http://{where}:{listening.getsockname()[1]}"})
    return listening


async def serve(listening: socket.socket, app: Any, until: asyncio.Event | None = None, **options: Any) -> None:
    """Until it is cancelled, or `until` is set; it may be listened again then. Either way what is asked is answered
    and the application ended in good order. `app` and `options`: uvicorn's."""
    server = _server(app, **options)
    serving = asyncio.create_task(server.serve(sockets=[listening.dup()]))
    over = asyncio.create_task((until or asyncio.Event()).wait())
    try:
        await asyncio.wait((serving, over), return_when=asyncio.FIRST_COMPLETED)
    finally:
        over.cancel()
        server.should_exit = True
        await serving


class Beside:
    """Two applications at one address: `own` has its paths and what concerns the process, `other` all else."""

    def __init__(self, own: Any, paths: Collection[str], other: Any) -> None:
        self.own, self.paths, self.other = own, paths, other

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_own = scope["type"] == "lifespan" or scope["path"] in self.paths
        await (self.own if is_own else self.other)(scope, receive, send)


class Start:
    """What is answered until a process has found all that it needs: that it lives, and what it waits for."""

    waits_for = "its turn"

    @asynccontextmanager
    async def told(self, listening: socket.socket) -> AsyncIterator[None]:
        server = _server(self, interface="asgi3", lifespan="off")
        serving = asyncio.create_task(server.serve(sockets=[listening.dup()]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        problem = Problem(f"It starts, and waits for {self.waits_for}.", "a-server-does-not-answer").told("start")
        lives = scope["path"] == "/alive"
        body = {"alive": True} if lives else {"healthy": False, "problems": [problem]}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200 if lives else 503, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """They are the process's matter: several servers may be in it."""
        return nullcontext()


def _server(app: Any, **options: Any) -> uvicorn.Server:
    return _Server(uvicorn.Config(app, log_config=None, access_log=False, **options))
