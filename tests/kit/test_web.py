"""Where a process is asked how it is, and that it says so."""

import asyncio
import json
import logging
import socket
from typing import Any
from urllib.request import urlopen

import pytest
import uvicorn
from pydantic import ValidationError

from shared.runtime import web
from shared.runtime.logs import JsonLines
from shared.runtime.settings import Settings


async def well(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"well"})


async def test_whichever_port_is_free_the_log_says_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[uvicorn.Server] = []

    class Server(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(uvicorn, "Server", Server)
    with caplog.at_level(logging.INFO):
        serving = asyncio.create_task(web.serve(Settings(), well, interface="asgi3", lifespan="off"))
        async with asyncio.timeout(10):
            while not (said := [record for record in caplog.records if record.message == "listening"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    where = json.loads(JsonLines("order").format(said[0]))["http"]

    def ask() -> bytes:
        with urlopen(f"{where}/health", timeout=5) as answer:
            return bytes(answer.read())

    assert await asyncio.to_thread(ask) == b"well"
    servers[0].should_exit = True
    await serving


async def test_a_port_that_is_taken_is_refused_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"RECOURSE_HTTP_PORT: .* 127\.0\.0\.1, port {port}: .*in use"):
            await web.serve(Settings(http_port=port), well)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_what_is_no_port_is_refused_before_anything_is_started(port: int) -> None:
    with pytest.raises(ValidationError):
        Settings(http_port=port)
