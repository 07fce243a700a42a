"""How an ASGI application is asked: without a server, a request is a call; or served, as it is in life."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import uvicorn

from services.casefile.front.bounds import SERVER
from tests.support.waiting import until_true

HOST = "localhost:8080"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: Any,
    method: str,
    address: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    said: object = None,
    form: Mapping[str, str] | None = None,
) -> Answer:
    """`address`: path and query, as it stands in a request. `said`: a body as JSON; `form`: as a browser sends one."""
    sent = {"host": HOST, **{name.lower(): value for name, value in (headers or {}).items()}}
    if said is not None:
        body = json.dumps(said).encode()
        sent.setdefault("content-type", "application/json")
    if form is not None:
        body = urlencode(form).encode()
        sent.setdefault("content-type", "application/x-www-form-urlencoded")
    if body:
        sent.setdefault("content-length", str(len(body)))
    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
    given = iter([{"type": "http.request", "body": body, "more_body": False}])
    said_back: list[Any] = []

    async def receive() -> Any:
        return next(given, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        said_back.append(message)

    await app(scope, receive, send)
    start = said_back[0]
    content = b"".join(message.get("body", b"") for message in said_back[1:])
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, content)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """On a port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, **SERVER))
    serving = asyncio.create_task(server._serve())  # it is not to hear this process's signals
    await until_true(lambda: server.started or serving.done())
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving
