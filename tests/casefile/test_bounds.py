"""What clients do to a server: they send too much, too slowly, nothing, or all at once. It goes on for the others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from services.casefile.front import bounds
from tests.casefile.conftest import Counter
from tests.support.asking import ask, served
from tests.support.waiting import until, until_true

PATIENCE_SECONDS = 60.0


@dataclass
class Door:
    port: int
    host: str = "127.0.0.1"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                yield reader, writer
        finally:
            writer.transport.abort()

    async def say(self, said: bytes) -> bytes:
        """What is heard until the server hangs up."""
        async with self.open() as (reader, writer):
            writer.write(said)
            return await heard(reader)


async def heard(reader: asyncio.StreamReader) -> bytes:
    """Until the server hangs up, however rudely."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(65_536):
            said += part
    return said


@pytest.fixture
async def door(looking: Counter, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    """Of little patience, so that a test need not have more."""
    monkeypatch.setattr(bounds, "ARRIVE_SECONDS", 0.5)
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.5)
    monkeypatch.setattr(bounds, "STALLED_SECONDS", 1.0)
    monkeypatch.setattr(bounds, "REQUEST_SECONDS", 2.0)
    async with served(looking.app) as port:
        yield Door(port)


def request(*headers: str, method: str = "GET", path: str = "/v1/cases", body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: localhost", *headers, "", ""]).encode() + body


async def serves(door: Door) -> bool:
    return (await door.say(request("connection: close"))).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("began", [b"", b"GET /v1/ca", request()[:-4]])
async def test_a_client_that_never_asks_is_hung_up_on(door: Door, began: bytes) -> None:
    assert await door.say(began) == b""
    assert await serves(door)


async def test_a_client_that_dribbles_is_hung_up_on(door: Door) -> None:
    async with door.open() as (reader, writer):
        hearing = asyncio.create_task(heard(reader))
        for letter in request("x-slow: " + "x" * 1_000):
            if hearing.done():
                break
            writer.write(bytes([letter]))
            await asyncio.sleep(0.05)
        assert await hearing == b""
    assert await serves(door)


async def test_a_second_request_that_never_comes_whole_is_not_awaited_either(door: Door) -> None:
    async with door.open() as (reader, writer):
        writer.write(request())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
        writer.write(b"GET /v1/ca")
        assert b"HTTP/1.1" not in await heard(reader)
    assert await serves(door)


async def test_a_body_that_does_not_come_is_not_awaited(door: Door) -> None:
    said = await door.say(request("content-length: 100", method="POST", path="/v1/commands", body=b"{"))
    assert said.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in said
    assert await serves(door)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (f"content-length: {bounds.BODY_BYTES_MAX + 1}", b""),
        ("content-length: 99999999999999999999", b""),
        ("transfer-encoding: chunked", b"10000\r\n" + b"x" * 0x10000 + b"\r\n"),
    ],
)
async def test_a_body_without_end_is_refused(door: Door, headers: str, body: bytes) -> None:
    said = await door.say(request(headers, method="POST", path="/v1/commands", body=body * 5))
    assert said.startswith(b"HTTP/1.1 413")
    assert await serves(door)


@pytest.mark.parametrize(
    "said",
    [
        request("x-long: " + "x" * 100_000),
        request(*(f"x-{number}: {'x' * 100}" for number in range(1_000))),
        request(path="/" + "x" * 100_000),
        b"\x16\x03\x01\x02\x00 hello",
        b"GET / HTTP/9.9\r\n\r\n",
        request("content-length: x"),
        request("content-length: 5", "content-length: 6"),
        request("transfer-encoding: chunked", body=b"zz\r\n"),
    ],
    ids=lambda said: repr(said[:30]),
)
async def test_what_is_no_request_is_refused(door: Door, said: bytes) -> None:
    answered = await door.say(said)
    assert answered == b"" or answered.split()[1].startswith(b"4")
    assert await serves(door)


async def test_ten_thousand_that_are_merely_there_keep_nobody_out(
    looking: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "CONNECTIONS_MAX", 50)
    monkeypatch.setattr(bounds, "ARRIVE_SECONDS", 1.0)
    async with served(looking.app) as port, contextlib.AsyncExitStack() as crowd:
        door = Door(port)
        readers = [(await crowd.enter_async_context(door.open()))[0] for _ in range(200)]
        await until("somebody else is answered", lambda: serves(door))
        assert [await heard(reader) for reader in readers] == [b""] * len(readers)


async def test_more_requests_at_once_than_can_be_answered_are_told_to_come_again(
    looking: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "REQUESTS_MAX", 3)
    go_on = asyncio.Event()

    async def held(*_: object) -> None:
        await go_on.wait()

    monkeypatch.setattr(looking.office.tables, "find", held)
    operator = looking.drone.who("operator")
    asking = [asyncio.create_task(looking.get(operator, "/v1/orders/drone-1")) for _ in range(3)]
    await asyncio.sleep(0)  # each is begun
    got = await looking.get(operator, "/v1/cases")
    assert (got.status, got.headers["retry-after"]) == (503, "1")
    go_on.set()
    assert [one.status for one in await asyncio.gather(*asking)] == [404] * 3
    assert (await looking.get(operator, "/v1/openapi")).status == 404


async def test_a_request_that_takes_too_long_is_given_up(
    door: Door, looking: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(looking.office.tables, "find", never)
    token = looking.bearer(looking.drone.who("operator"))["authorization"]
    said = await door.say(request(f"authorization: {token}", path="/v1/orders/drone-1"))
    assert said.startswith(b"HTTP/1.1 503")
    assert await serves(door)


async def test_a_client_that_does_not_read_is_given_up(
    door: Door, looking: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "REQUESTS_MAX", 1)
    token = looking.bearer(looking.drone.who("operator"))["authorization"]
    async with door.open() as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(request(f"authorization: {token}", path=f"/v1/orders/{looking.drone.order_id}") * 1_000)

        async def holds_the_only_place() -> bool:
            return (await door.say(request("connection: close"))).startswith(b"HTTP/1.1 503")

        await until("it does not read", holds_the_only_place)
        await until("others are answered", lambda: serves(door))
        await until_true(lambda: not is_open(writer))
        assert await serves(door)


def is_open(writer: asyncio.StreamWriter) -> bool:
    """Whether the other side still is."""
    with contextlib.suppress(ConnectionError):
        writer.transport.write(b" ")
    return not writer.transport.is_closing()


async def test_a_body_comes_through_whole(looking: Counter) -> None:
    said = {"type": "mediation.ask", "order_id": looking.drone.order_id, "data": {"text": "x" * 200_000}}
    got = await ask(looking.app, "POST", "/v1/commands", looking.bearer(looking.drone.who("mediator")), said=said)
    assert (got.status, got.json["field"]) == (422, "dispute_id")
