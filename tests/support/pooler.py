"""What stands between a service and PostgreSQL where somebody runs a pooler: as PgBouncer, no more of it than matters.

By session a client keeps the server session that it gets until it leaves; by transaction it gets another one each time.
A start-up with parameters that are not its own business is refused.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

import asyncpg

Mode = Literal["session", "transaction"]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

SSL_REQUEST, CANCEL_REQUEST = 80877103, 80877102
PASSED_ON = {"user", "database", "client_encoding", "application_name"}


class Pooler:
    """Sessions to the server are made as they are needed, each by a client of the driver's, whose place is then taken:
    so nobody here has to know how one logs in."""

    def __init__(self, dsn: str, mode: Mode) -> None:
        self.dsn, self.mode = dsn, mode
        self.free: list[Streams] = []
        self.greeting = b""
        self.opened: list[asyncio.StreamWriter] = []

    async def new_session(self) -> Streams:
        address = urlsplit(self.dsn)
        server = await asyncio.open_connection(address.hostname, address.port)
        self.opened.append(server[1])
        heard, gone = bytearray(), asyncio.Event()

        async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.opened.append(writer)
            down = asyncio.create_task(_relayed(server[0], writer, heard))
            up = asyncio.create_task(_relayed(reader, server[1]))
            await gone.wait()
            for one in (down, up):
                one.cancel()

        async with await asyncio.start_server(between, "127.0.0.1") as entrance:
            driver = await asyncpg.connect(_at(self.dsn, entrance), ssl=False)
            gone.set()
            await asyncio.sleep(0)
            driver.terminate()
        states = [_framed(kind, body) for kind, body in _messages(bytes(heard)) if kind == b"S"]
        self.greeting = self.greeting or b"".join(states)
        return server

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened.append(writer)
        serving: tuple[Streams, asyncio.Task[None]] | None = None
        try:
            if not await self._welcomed(reader, writer):
                return
            while (message := await _message(reader))[0] != b"X":
                if serving is None or serving[1].done():
                    held = self.free.pop() if self.free else await self.new_session()
                    serving = held, asyncio.create_task(self._answers(held, writer))
                serving[0][1].write(_framed(*message))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            if serving is not None and serving[1].cancel():
                held, answers = serving
                await asyncio.gather(answers, return_exceptions=True)
                held[1].write(_framed(b"Q", b"DISCARD ALL\0"))
                while (await _message(held[0]))[0] != b"Z":
                    pass
                self.free.append(held)

    async def _answers(self, held: Streams, writer: asyncio.StreamWriter) -> None:
        """To one client; by transaction until it has none open."""
        while True:
            message = await _message(held[0])
            writer.write(_framed(*message))
            if self.mode == "transaction" and message == (b"Z", b"I"):
                self.free.append(held)
                return

    async def _welcomed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        while True:
            size = int.from_bytes(await reader.readexactly(4), "big")
            body = await reader.readexactly(size - 4)
            code = int.from_bytes(body[:4], "big")
            if code == CANCEL_REQUEST:
                return False
            if code != SSL_REQUEST:
                break
            writer.write(b"N")
        names = body[4:].split(b"\0")[:-2:2]
        if unknown := {name.decode() for name in names} - PASSED_ON:
            told = f"unsupported startup parameter: {sorted(unknown)[0]}".encode()
            writer.write(_framed(b"E", b"SFATAL\0C08P01\0M" + told + b"\0\0"))
            return False
        if not self.free:
            self.free.append(await self.new_session())
        login = _framed(b"R", bytes(4))
        writer.write(login + self.greeting + _framed(b"K", bytes(8)) + _framed(b"Z", b"I"))
        return True


@asynccontextmanager
async def pooled(dsn: str, mode: Mode) -> AsyncIterator[str]:
    """The address of a pooler in front of this database."""
    pooler = Pooler(dsn, mode)
    try:
        async with await asyncio.start_server(pooler.serve, "127.0.0.1") as entrance:
            yield _at(dsn, entrance)
    finally:
        for writer in pooler.opened:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _at(dsn: str, entrance: asyncio.Server) -> str:
    login, _, _ = urlsplit(dsn).netloc.rpartition("@")
    return urlsplit(dsn)._replace(netloc=f"{login}@127.0.0.1:{entrance.sockets[0].getsockname()[1]}").geturl()


async def _relayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray | None = None) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        if heard is not None:
            heard.extend(data)


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    size = int.from_bytes(await reader.readexactly(4), "big")
    return kind, await reader.readexactly(size - 4)


def _messages(heard: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    while heard:
        size = int.from_bytes(heard[1:5], "big")
        found.append((heard[:1], heard[5 : size + 1]))
        heard = heard[size + 1 :]
    return found
