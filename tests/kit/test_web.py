"""Where a process is asked how it is, and that it says so."""

import asyncio
import json
import logging
import socket
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from pydantic import ValidationError

from shared.runtime import web
from shared.runtime.logs import JsonLines
from shared.runtime.settings import Settings


async def well(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"well"})


def ask(where: str) -> tuple[int, bytes]:
    try:
        with urlopen(where, timeout=5) as answer:
            return answer.status, bytes(answer.read())
    except HTTPError as unwell:
        return unwell.code, unwell.read()


async def test_it_answers_from_its_first_moment_on_and_the_log_says_where(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO), web.listen(Settings()) as listening:
        (said,) = (record for record in caplog.records if record.message == "listening")
        where = json.loads(JsonLines("order").format(said))["http"]
        start = web.Start()
        async with start.told(listening):
            start.waits_for = "kafka"
            assert (await asyncio.to_thread(ask, f"{where}/alive"))[0] == 200
            status, told = await asyncio.to_thread(ask, f"{where}/health")
            assert (status, json.loads(told)["problems"][0]["problem"]) == (503, "It starts, and waits for kafka.")
        over = asyncio.Event()
        serving = asyncio.create_task(web.serve(listening, well, over, interface="asgi3", lifespan="off"))
        assert await asyncio.to_thread(ask, f"{where}/health") == (200, b"well")
        over.set()
        await serving


async def test_it_is_served_until_that_is_over_and_then_anew_at_the_same_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO), web.listen(Settings()) as listening:
        (said,) = (record for record in caplog.records if record.message == "listening")
        where = json.loads(JsonLines("order").format(said))["http"]
        for _ in range(2):
            over = asyncio.Event()
            serving = asyncio.create_task(web.serve(listening, well, over, interface="asgi3", lifespan="off"))
            assert await asyncio.to_thread(ask, f"{where}/health") == (200, b"well")
            assert not serving.done()
            over.set()
            await asyncio.wait_for(serving, 10)


@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        ({"type": "lifespan"}, "own"),
        ({"type": "http", "path": "/health"}, "own"),
        ({"type": "http", "path": "/health/"}, "other"),
        ({"type": "http", "path": "/orders"}, "other"),
        ({"type": "websocket", "path": "/orders"}, "other"),
    ],
)
async def test_two_applications_at_one_address_are_told_apart_by_path(scope: Any, asked: str) -> None:
    heard: list[str] = []

    def named(name: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            heard.append(name)

        return app

    await web.Beside(named("own"), {"/health"}, named("other"))(scope, None, None)
    assert heard == [asked]


async def test_a_port_that_is_taken_is_refused_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"RECOURSE_HTTP_PORT: .* 127\.0\.0\.1, port {port}: .*in use"):
            web.listen(Settings(http_port=port))


@pytest.mark.parametrize("port", [-1, 65_536])
def test_what_is_no_port_is_refused_before_anything_is_started(port: int) -> None:
    with pytest.raises(ValidationError):
        Settings(http_port=port)
