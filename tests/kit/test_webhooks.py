"""Webhooks as a real HTTP server gets them."""

import asyncio
import json
import logging
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.notification.events import NotificationFailed, Postponed
from services.notification.domain import decider
from services.notification.people import AddressedWebhook
from services.notification.projection import TAKEN, UNREACHABLE, MemoryDeliveryTable, SendResult
from services.notification.webhooks import (
    FORBIDDEN,
    RESPONSE_BYTES_MAX,
    Endpoint,
    Webhooks,
    WebhookSettings,
    own_secret,
    webhook_channels,
)
from tests.domain.test_notification_webhooks import ALL, OLDER, SECRET, queued, verified
from tests.kit.shop import Rows, Shop
from tests.kit.stored_events import NOON

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRETS = (SECRET.get_secret_value(), OLDER.get_secret_value())


@dataclass
class Request:
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """An HTTP server of this machine that answers as it is told."""

    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], bytes] = lambda request: b"HTTP/1.1 204 No Content\r\n\r\n"
    wait_seconds: float = 0
    connections: int = 0
    port: int = 0
    _serving: set[Any] = field(default_factory=set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}
                content = await reader.readexactly(int(headers["content-length"]))
                request = Request(first.split(" ")[1], headers, content)
                self.requests.append(request)
                await asyncio.sleep(self.wait_seconds)
                writer.write(self.answer(request))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for connection in self._serving:
                connection.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await asyncio.sleep(0)


def status(line: str, *headers: str, body: bytes = b"") -> Callable[[Request], bytes]:
    head = "\r\n".join([f"HTTP/1.1 {line}", *headers, f"Content-Length: {len(body)}", "", ""])
    return lambda request: head.encode() + body


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async with server.running():
        yield server


def webhooks_to(url: str, *, secrets: Sequence[str] = SECRETS[:1], **settings: Any) -> Webhooks:
    endpoint = Endpoint(url=url, secrets=tuple(map(type(SECRET), secrets)))
    default = {"webhook_allow_private": True, "webhook_timeout_seconds": 2.0}
    return Webhooks(WebhookSettings(webhook_endpoints=(endpoint,), **{**default, **settings}))


@pytest.fixture
async def webhooks(server: Server) -> AsyncIterator[Webhooks]:
    webhooks = webhooks_to(f"http://127.0.0.1:{server.port}/hooks?for=us")
    yield webhooks
    await webhooks.close()


# -- one webhook -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R49")
async def test_a_webhook_arrives_signed(server: Server, webhooks: Webhooks) -> None:
    assert await webhooks.send(queued(), AT) == TAKEN
    [request] = server.requests
    assert request.target == "/hooks?for=us"
    assert (request.headers["webhook-id"], request.headers["webhook-timestamp"]) == ("d1", str(int(AT.timestamp())))
    assert (request.headers["content-type"], request.headers["user-agent"]) == ("application/json", "Recourse")
    assert verified(SECRETS[0], request.headers, request.body)
    assert not verified(SECRETS[1], request.headers, request.body)
    assert json.loads(request.body)["data"]["facts"] == {"carrier": "Päckle"}


@pytest.mark.rule("R49")
async def test_another_attempt_has_the_same_id_and_body_and_its_own_time(server: Server, webhooks: Webhooks) -> None:
    for minutes in (0, 2):
        await webhooks.send(queued(), AT + timedelta(minutes=minutes))
    first, again = server.requests
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    assert int(again.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 120
    assert verified(SECRETS[0], again.headers, again.body)


@pytest.mark.rule("R49")
async def test_while_keys_rotate_a_receiver_with_either_accepts(server: Server) -> None:
    webhooks = webhooks_to(f"http://127.0.0.1:{server.port}", secrets=SECRETS)
    assert await webhooks.send(queued(), AT) == TAKEN
    [request] = server.requests
    assert all(verified(secret, request.headers, request.body) for secret in SECRETS)
    await webhooks.close()


async def test_a_connection_serves_many(server: Server, webhooks: Webhooks) -> None:
    server.answer = status("200 OK", body=b"thanks")
    for _ in range(5):
        assert await webhooks.send(queued(), AT) == TAKEN
    assert server.connections == 1


ANSWERS = [
    ("200 OK", TAKEN),
    ("410 Gone", SendResult("refused", final=True, http_status=410)),
    ("404 Not Found", SendResult("refused", http_status=404)),
    ("429 Too Many Requests", SendResult("refused", http_status=429)),
    ("500 Oops", SendResult("refused", http_status=500)),
    ("what is HTTP?", UNREACHABLE),
]


@pytest.mark.parametrize(("line", "expected"), ANSWERS)
async def test_what_an_answer_means(server: Server, webhooks: Webhooks, line: str, expected: SendResult) -> None:
    server.answer = status(line)
    assert await webhooks.send(queued(), AT) == expected
    server.answer = status("200 OK")
    assert await webhooks.send(queued(), AT) == TAKEN


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(server: Server, webhooks: Webhooks, code: int) -> None:
    server.answer = status(f"{code} There", f"Location: http://127.0.0.1:{server.port}/there")
    assert await webhooks.send(queued(), AT) == SendResult("refused", http_status=code)
    assert [request.target for request in server.requests] == ["/hooks?for=us"]


# -- where nothing goes ------------------------------------------------------------------------------------------------

PRIVATE = ["https://10.1.2.3", "https://169.254.169.254/latest", "https://[fd00::1]", "https://[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("url", [*PRIVATE, "https://0x7f.1", "https://2130706433"])
async def test_no_webhook_goes_to_a_private_address(url: str, caplog: pytest.LogCaptureFixture) -> None:
    webhooks = webhooks_to(url, webhook_allow_private=False)
    assert await webhooks.send(queued(), AT) == FORBIDDEN
    assert "not public" in caplog.text
    await webhooks.close()


async def test_this_very_machine_gets_one_only_where_that_is_allowed(server: Server) -> None:
    for allowed, expected in ((False, FORBIDDEN), (True, TAKEN)):
        webhooks = webhooks_to(f"http://localhost:{server.port}", webhook_allow_private=allowed)
        assert await webhooks.send(queued(), AT) == expected
        await webhooks.close()
    assert len(server.requests) == 1


async def test_a_name_with_one_private_address_among_public_ones_gets_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", ("93.184.216.34", port)), (2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    webhooks = webhooks_to(f"https://hooks.example:{server.port}", webhook_allow_private=False)
    assert await webhooks.send(queued(), AT) == FORBIDDEN
    assert server.connections == 0
    await webhooks.close()


async def test_the_address_that_was_looked_at_is_the_one_connected_to(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def first_here(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", first_here)
    webhooks = webhooks_to(f"http://localhost:{server.port}")
    assert await webhooks.send(queued(), AT) == TAKEN
    assert asked == ["localhost"]
    assert server.requests[0].headers["host"] == f"localhost:{server.port}"
    await webhooks.close()


async def test_a_name_that_is_none_is_a_bad_address_and_no_bug_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    webhooks = webhooks_to(f"https://{64 * 'a'}..example")
    assert await webhooks.send(queued(), AT) == FORBIDDEN
    await webhooks.close()


# -- to people's own endpoints -----------------------------------------------------------------------------------------


def own_webhooks(**settings: Any) -> Webhooks:
    default = {"webhook_allow_private": True, "webhook_timeout_seconds": 2.0, "person_webhook_secrets": (SECRET, OLDER)}
    return Webhooks(WebhookSettings(**{**default, **settings}))


def to_own(url: str) -> AddressedWebhook:
    return AddressedWebhook(queued(endpoint_id="shelf"), url)


@pytest.mark.rule("R74")
async def test_a_webhook_of_ones_own_arrives_signed_by_what_follows_from_each_secret(server: Server) -> None:
    webhooks = own_webhooks()
    url = f"http://127.0.0.1:{server.port}/mine"
    for minutes in (0, 2):
        assert await webhooks.send_own(to_own(url), AT + timedelta(minutes=minutes)) == TAKEN
    first, again = server.requests
    for secret in (SECRET, OLDER):
        assert verified(own_secret(secret, "bea", "shelf").get_secret_value(), first.headers, first.body)
        assert not verified(own_secret(secret, "bea", "other").get_secret_value(), first.headers, first.body)
        assert not verified(secret.get_secret_value(), first.headers, first.body)
    assert (first.target, first.headers["webhook-id"], again.headers["webhook-id"]) == ("/mine", "d1", "d1")
    assert first.body == again.body
    await webhooks.close()


@pytest.mark.rule("R74")
@pytest.mark.parametrize("url", [*PRIVATE, "https://localhost"])
async def test_none_of_ones_own_goes_to_a_private_address(url: str, caplog: pytest.LogCaptureFixture) -> None:
    webhooks = own_webhooks(webhook_allow_private=False)
    assert await webhooks.send_own(to_own(url), AT) == FORBIDDEN
    logged = str([vars(record) for record in caplog.records])
    assert "not public" in logged
    assert url not in logged
    assert "bea" not in logged
    await webhooks.close()


@pytest.mark.rule("R74")
async def test_without_a_secret_what_was_queued_before_is_not_sent(server: Server) -> None:
    webhooks = own_webhooks(person_webhook_secrets=())
    assert await webhooks.send_own(to_own(f"http://127.0.0.1:{server.port}"), AT) == UNREACHABLE
    assert server.requests == []
    await webhooks.close()


@pytest.mark.rule("R80")
async def test_names_of_peoples_own_that_nobody_answers_for_hold_up_no_others(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, here = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *about: Any, **more: Any) -> Any:
        if host == "slow.example":
            answered.wait(5)
        return here("127.0.0.1", *about, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    own = own_webhooks(webhook_timeout_seconds=1.0)
    webhooks = webhooks_to(f"http://localhost:{server.port}", webhook_timeout_seconds=1.0)
    hanging = [asyncio.create_task(own.send_own(to_own("https://slow.example"), AT)) for _ in range(64)]
    await asyncio.sleep(0.05)
    assert await webhooks.send(queued(), AT) == TAKEN
    answered.set()
    assert set(await asyncio.gather(*hanging)) == {UNREACHABLE}
    await webhooks.close()
    await own.close()


@pytest.mark.rule("R80")
async def test_of_ones_own_too_only_410_is_for_ever(server: Server) -> None:
    webhooks = own_webhooks()
    for line in ("410 Gone", "404 Not Found", "307 There"):
        server.answer = status(line)
        answer = await webhooks.send_own(to_own(f"http://127.0.0.1:{server.port}"), AT)
        assert (answer.final, answer.http_status) == (line == "410 Gone", int(line[:3]))
    await webhooks.close()


# -- trouble -----------------------------------------------------------------------------------------------------------


async def test_a_dead_endpoint_is_unreachable_and_a_revived_one_takes_the_next() -> None:
    server = Server()
    async with server.running():
        pass
    webhooks = webhooks_to(f"http://127.0.0.1:{server.port}")
    assert await webhooks.send(queued(), AT) == UNREACHABLE
    async with server.running():
        assert await webhooks.send(queued(), AT) == TAKEN
        await webhooks.close()


async def test_an_endpoint_that_takes_too_long_is_given_up(server: Server) -> None:
    server.wait_seconds = 30
    webhooks = webhooks_to(f"http://127.0.0.1:{server.port}", webhook_timeout_seconds=0.1)
    async with asyncio.timeout(5):
        assert await webhooks.send(queued(), AT) == UNREACHABLE
    await webhooks.close()


@pytest.mark.parametrize("sent_bytes", [10, 50 * RESPONSE_BYTES_MAX])
async def test_of_an_answer_that_is_long_or_never_ends_only_the_beginning_is_read(
    server: Server, sent_bytes: int
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {100 * RESPONSE_BYTES_MAX}\r\n\r\n".encode()
    server.answer = lambda request: head + b"x" * sent_bytes
    webhooks = webhooks_to(f"http://127.0.0.1:{server.port}", webhook_timeout_seconds=0.3)
    async with asyncio.timeout(5):
        assert await webhooks.send(queued(), AT) == TAKEN
        assert await webhooks.send(queued(), AT) == TAKEN
    assert server.connections == 2
    await webhooks.close()


async def test_a_certificate_is_asked_for(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    webhooks = webhooks_to(f"https://127.0.0.1:{server.port}")
    context: ssl.SSLContext = next(iter(webhooks._pools.values()))._ssl_context  # type: ignore[assignment]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert await webhooks.send(queued(), AT) == UNREACHABLE  # the server speaks no TLS
    assert server.requests == []
    await webhooks.close()


async def test_without_an_endpoint_what_was_queued_before_is_not_sent() -> None:
    assert await Webhooks(WebhookSettings()).send(queued(), AT) == UNREACHABLE


async def test_no_secret_and_no_url_is_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="services")
    webhooks = webhooks_to(f"http://127.0.0.1:{server.port}/token-1234", secrets=SECRETS)
    for answer in (status("200 OK"), status("410 Gone"), status("nonsense")):
        server.answer = answer
        await webhooks.send(queued(), AT)
    logged = str([vars(record) for record in caplog.records])
    assert "no webhook can be handed over" in logged
    assert "token-1234" not in logged
    assert "whsec_" not in logged
    assert not any(b64encode(bytes([byte]) * 24).decode()[:20] in logged for byte in (1, 2))
    await webhooks.close()


# -- their way ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R49")
async def test_a_webhook_is_tried_again_under_its_id_and_given_up_visibly(server: Server, webhooks: Webhooks) -> None:
    table = MemoryDeliveryTable()
    shop = Shop(Rows(table), *webhook_channels(webhooks), decider=decider(mail=False, webhooks=ALL))
    await shop.queue.opened(0)
    server.answer = status("503 Later")
    await shop.order()
    await shop.settle()
    assert [(one.attempts, one.problem, one.http_status) for one in shop.of(Postponed)] == [(1, "refused", 503)] * 2
    server.answer = status("410 Gone")
    shop.wait(seconds=30)
    await shop.settle()
    failed = shop.of(NotificationFailed)
    assert [(one.channel, one.attempts, one.http_status) for one in failed] == [("webhook", 2, 410)] * 2
    times: dict[str, list[int]] = {one.delivery_id: [] for one in failed}
    for request in server.requests:
        times[request.headers["webhook-id"]].append(int(request.headers["webhook-timestamp"]))
    began = int(NOON.timestamp())
    assert list(times.values()) == [[began, began + 30]] * 2
    assert table.deliveries == {}
    await shop.queue.stop()
