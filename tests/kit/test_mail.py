"""The queue of letters, in PostgreSQL and in memory: the same scenarios on both; and mail as a real server gets it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import ValidationError
from shared.kernel.agenda import Agenda, Written

from schemas.notification.events import NotificationFailed, NotificationSent, Postponed, Queued
from services import notification
from services.notification.agenda import TAKEN_MAX, DeliveryQueue, MailList, mail_line
from services.notification.domain import Attempted
from services.notification.gateway import TAKEN, UNREACHABLE, Answer, MailSettings, Smtp, deliverable
from services.notification.letters import Letter
from services.notification.store import PostgresTable
from shared.kernel.ports import Input
from shared.runtime.memory import MemoryStore
from shared.runtime.postgres import database
from shared.runtime.postgres.migrate import migrate
from tests.kit.shop import Shop

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
LETTER = Letter("Order 1: paid", "It is paid.\n", "<p>It is paid.</p>")


@dataclass
class Server:
    """A mail server of this machine that answers as it is told."""

    raw: list[bytes] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    connections: int = 0
    answer: Callable[[str], str] = lambda recipient: "250 OK"
    wait_seconds: float = 0
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answer(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.wait_seconds)
        self.raw.append(envelope.original_content or b"")
        self.mails.append(message_from_bytes(self.raw[-1], _class=EmailMessage, policy=policy.default))
        self.recipients += envelope.rcpt_tos
        return "250 OK"

    def _connected(self) -> SMTP:
        self.connections += 1
        return SMTP(self, enable_SMTPUTF8=True, hostname="mail.test", loop=asyncio.get_running_loop())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(self._connected, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async with server.running():
        yield server


def smtp_at(port: int, **settings: Any) -> Smtp:
    default = {
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_security": "none",
        "mail_from": "Recourse <no-reply@recourse.test>",
        "smtp_timeout_seconds": 0.5,
    }
    return Smtp(MailSettings(**{**default, **settings}))


@pytest.fixture
async def smtp(server: Server) -> AsyncIterator[Smtp]:
    smtp = smtp_at(server.port)
    yield smtp
    await smtp.close()


# -- one mail ----------------------------------------------------------------------------------------------------------


async def test_a_mail_arrives_as_text_and_html_from_us_to_him(server: Server, smtp: Smtp) -> None:
    assert await smtp.send("abc", "bea@example.org", LETTER, AT) == TAKEN
    [mail] = server.mails
    assert server.recipients == ["bea@example.org"]
    assert (mail["From"], mail["To"]) == ("Recourse <no-reply@recourse.test>", "bea@example.org")
    assert (mail["Subject"], mail["Auto-Submitted"]) == ("Order 1: paid", "auto-generated")
    assert mail["Date"].datetime == AT
    text, html = mail.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(html, EmailMessage)
    assert (text.get_content_type(), text.get_content().strip()) == ("text/plain", "It is paid.")
    assert (html.get_content_type(), html.get_content().strip()) == ("text/html", "<p>It is paid.</p>")


async def test_the_same_delivery_is_the_same_mail_to_the_byte(server: Server, smtp: Smtp) -> None:
    for _ in range(2):
        await smtp.send("abc", "bea@example.org", LETTER, AT)
    assert server.raw[0] == server.raw[1]
    assert server.mails[0]["Message-ID"] == "<abc@recourse.test>"
    await smtp.send("abd", "bea@example.org", LETTER, AT)
    assert server.mails[2]["Message-ID"] == "<abd@recourse.test>"


async def test_a_connection_serves_many_mails_and_one_that_died_is_replaced(server: Server, smtp: Smtp) -> None:
    for number in range(5):
        assert await smtp.send(f"d{number}", "bea@example.org", LETTER, AT) == TAKEN
    assert server.connections == 1
    [idle] = smtp._idle
    idle.close()
    assert await smtp.send("d5", "bea@example.org", LETTER, AT) == TAKEN
    assert server.connections == 2
    assert len(server.mails) == 6


ANSWERS = [
    ("550 5.1.1 <bea@example.org> unknown", Answer("refused", 550, final=True)),
    ("552 5.2.2 bea@example.org: full", Answer("refused", 552, final=True)),
    ("451 4.7.1 later, bea@example.org", Answer("refused", 451)),
    ("421 4.3.2 going down", Answer("refused", 421)),
    ("bea@example.org? never heard of", UNREACHABLE),
]


@pytest.mark.parametrize(("reply", "expected"), ANSWERS)
async def test_what_a_servers_no_means(
    server: Server, smtp: Smtp, reply: str, expected: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = lambda recipient: reply
    assert await smtp.send("abc", "bea@example.org", LETTER, AT) == expected
    server.answer = lambda recipient: "250 OK"
    assert await smtp.send("abc", "bea@example.org", LETTER, AT) == TAKEN
    assert "bea" not in str([vars(record) for record in caplog.records if record.name != "mail.log"])


BAD = ["a@b>", "<a@b", "a,b@c.org", "a@b@c.org", "a b@c.org", '"a"@c.org', "a@c_d.org", ".a@c.org", "a..b@c.org", "a@"]


@pytest.mark.parametrize("email", [*BAD, "a@b.org\r\nRCPT TO:<x@y.org>", "a@b.org>\r\nDATA", "ä" * 65 + "@c.org"])
async def test_an_address_that_could_be_read_in_two_ways_gets_no_mail(server: Server, smtp: Smtp, email: str) -> None:
    assert await smtp.send("abc", email, LETTER, AT) == Answer("bad_address", final=True)
    assert server.connections == 0


@pytest.mark.parametrize("email", ["a@b", "o'neil+x=1@mail.example.co", "jörg@example.org", "a@xn--bcher-kva.example"])
async def test_an_unusual_address_gets_its_mail(server: Server, smtp: Smtp, email: str) -> None:
    assert await smtp.send("abc", email, LETTER, AT) == TAKEN
    assert server.recipients == [email]
    assert f"\r\nTo: {email}\r\n".encode() in server.raw[0]


def test_a_domain_beyond_ascii_is_written_as_mail_servers_know_it() -> None:
    assert deliverable("a@bücher.example") == "a@xn--bcher-kva.example"


async def test_a_line_break_cannot_become_a_header(smtp: Smtp, server: Server) -> None:
    with pytest.raises(ValueError):
        await smtp.send("abc", "bea@example.org", Letter("Hi\r\nBcc: x@example.org", "", ""), AT)
    assert server.mails == []


async def test_a_dead_server_is_unreachable_and_a_revived_one_takes_the_next_mail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()
    async with server.running():
        smtp = smtp_at(server.port)
        assert await smtp.send("a", "bea@example.org", LETTER, AT) == TAKEN
    [idle] = smtp._idle
    idle.close()
    assert await smtp.send("b", "bea@example.org", LETTER, AT) == UNREACHABLE
    assert "no mail can be handed over" in caplog.text
    async with server.running():
        assert await smtp.send("b", "bea@example.org", LETTER, AT) == TAKEN
        await smtp.close()


async def test_without_a_mail_server_what_was_queued_before_is_not_sent() -> None:
    assert await Smtp(MailSettings()).send("abc", "bea@example.org", LETTER, AT) == UNREACHABLE


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    mute = await asyncio.start_server(silence, "127.0.0.1", 0)
    smtp = smtp_at(mute.sockets[0].getsockname()[1], smtp_timeout_seconds=0.1)
    async with asyncio.timeout(5):
        assert await smtp.send("abc", "bea@example.org", LETTER, AT) == UNREACHABLE
    mute.close()


async def test_a_server_slower_than_a_step_may_take_is_given_up(server: Server) -> None:
    server.wait_seconds = 30
    smtp = smtp_at(server.port, smtp_timeout_seconds=0.1)
    async with asyncio.timeout(5):
        assert await smtp.send("abc", "bea@example.org", LETTER, AT) == UNREACHABLE
    assert smtp._idle == []


async def test_a_server_without_tls_gets_no_mail_where_tls_is_asked_for(server: Server) -> None:
    assert (
        await smtp_at(server.port, smtp_security="starttls").send("abc", "bea@example.org", LETTER, AT) == UNREACHABLE
    )
    assert server.mails == []


def test_a_mail_server_needs_an_address_to_write_from() -> None:
    with pytest.raises(ValidationError):
        MailSettings(smtp_host="mail.test", mail_from="nobody")
    assert MailSettings().smtp_host is None


# -- the queue ---------------------------------------------------------------------------------------------------------


@dataclass
class Bench:
    """One queue on trial: a new one on the same rows is a new process."""

    anew: Callable[[], Agenda]
    write: Callable[[Agenda], Callable[[Sequence[Written]], Any]]
    answer_with: Callable[[Answer], None]
    taken: Callable[[], list[tuple[str, str]]]
    """(delivery id, subject) of what arrived."""
    opened: list[Agenda] = field(default_factory=list)

    async def shop(self, *shards: int) -> Shop:
        queue = self.anew()
        self.opened.append(queue)
        for shard in shards or (0,):
            await queue.opened(shard)
        return Shop(queue, self.write(queue))


@pytest.fixture(params=["in_memory", pytest.param("in_postgres", marks=pytest.mark.stack)])
def bench(request: pytest.FixtureRequest) -> Bench:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Bench)
    return made


@pytest.fixture
def in_memory() -> Bench:
    answers = [TAKEN]
    queue = MailList(lambda queued: answers[0])

    def write(queue: Agenda) -> Callable[[Sequence[Written]], Any]:
        return lambda written: queue.write(MemoryStore(queue), written)

    def anew() -> Agenda:
        for shard in range(3):
            queue.closed(shard)
        return queue

    return Bench(
        anew,
        write,
        lambda answer: answers.__setitem__(0, answer),
        lambda: [(one.queued.delivery_id, one.letter.subject) for one in queue.taken],
    )


SMTP_SAYS = {TAKEN: "250 OK", Answer("refused", 451): "451 later", Answer("refused", 550, final=True): "550 no"}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    await migrate(database_url, "notification", [Path(notification.__path__[0]) / "migrations"])
    pool = await database.create_pool(database_url, "notification", 3)
    yield pool
    await pool.close()


@pytest.fixture
async def in_postgres(pool: asyncpg.Pool, server: Server) -> AsyncIterator[Bench]:
    def write(queue: Agenda) -> Callable[[Sequence[Written]], Any]:
        async def commit(written: Sequence[Written]) -> None:
            async with pool.acquire() as connection, connection.transaction():
                await queue.write(connection, written)

        return commit

    def answer_with(answer: Answer) -> None:
        server.answer = lambda recipient: SMTP_SAYS[answer]

    bench = Bench(
        lambda: DeliveryQueue(PostgresTable(pool), mail_line(smtp_at(server.port))),
        write,
        answer_with,
        lambda: [(mail["Message-ID"][1:].partition("@")[0], mail["Subject"]) for mail in server.mails],
    )
    yield bench
    for queue in bench.opened:
        await queue.stop()


@pytest.mark.rule("R49")
async def test_what_is_queued_is_sent_and_comes_back_as_sent(bench: Bench) -> None:
    shop = await bench.shop()
    await shop.order()
    await shop.settle(2)
    sent = [one for one in shop.said if isinstance(one, NotificationSent)]
    assert {one.recipient.role for one in sent} == {"buyer", "seller"}
    assert {id_ for id_, _ in bench.taken()} == {one.delivery_id for one in sent}
    assert {subject for _, subject in bench.taken()} == {"Order order-1: 20.00 EUR paid"}
    assert shop.pending("order-1") == {}
    assert await shop.nothing_due()
    assert shop.queue.next_due() is None


async def test_an_outcome_is_handed_out_once(bench: Bench) -> None:
    shop = await bench.shop()
    await shop.order()
    assert len(await shop.outcomes(2)) == 2
    assert await shop.nothing_due()
    assert len(bench.taken()) == 2


@pytest.mark.rule("R49")
async def test_what_was_queued_before_a_restart_is_sent_after_it(bench: Bench) -> None:
    closed = await bench.shop()
    closed.queue.closed(0)
    await closed.order()
    assert await closed.nothing_due()
    assert bench.taken() == []
    anew = await bench.shop()
    anew.streams = closed.streams
    await anew.settle(2)
    assert len(bench.taken()) == 2


@pytest.mark.rule("R49")
async def test_a_repeat_after_a_crash_carries_the_same_id(bench: Bench) -> None:
    crashed = await bench.shop()
    await crashed.order()
    await crashed.outcomes(2)  # and never committed
    crashed.queue.closed(0)
    anew = await bench.shop()
    anew.streams = crashed.streams
    await anew.settle(2)
    ids = [id_ for id_, _ in bench.taken()]
    assert len(ids) == 4
    assert len(set(ids)) == 2


@pytest.mark.rule("R49")
async def test_what_could_not_be_sent_is_tried_again_at_its_instant_and_not_before(bench: Bench) -> None:
    bench.answer_with(Answer("refused", 451))
    shop = await bench.shop()
    await shop.order()
    soon = datetime.now(UTC) + timedelta(seconds=1)
    for outcome in await shop.outcomes(2):
        assert isinstance(outcome.payload, Attempted)
        assert (outcome.payload.attempt, outcome.payload.smtp_status) == (1, 451)
        await shop.hear(
            Input(outcome.payload, outcome.type, outcome.stream_id, outcome.id, soon - timedelta(seconds=30), "s")
        )
    assert len([one for one in shop.said if isinstance(one, Postponed)]) == 2
    bench.answer_with(TAKEN)
    assert await shop.nothing_due()
    for outcome in await shop.outcomes(2):
        assert isinstance(outcome.payload, Attempted)
        assert outcome.payload.attempt == 2
        assert datetime.now(UTC) >= soon
        await shop.hear(outcome)
    assert len(bench.taken()) == 2


@pytest.mark.rule("R49")
async def test_what_is_given_up_leaves_the_queue(bench: Bench) -> None:
    bench.answer_with(Answer("refused", 550, final=True))
    shop = await bench.shop()
    await shop.order()
    await shop.settle(2)
    assert len([one for one in shop.said if isinstance(one, NotificationFailed)]) == 2
    anew = await bench.shop()
    assert await anew.nothing_due()


async def test_a_shard_that_is_not_ours_is_left_alone(bench: Bench) -> None:
    shop = await bench.shop(0, 1)
    shop.queue.closed(1)
    await shop.order("order-1", shard=0)
    await shop.order("order-2", shard=1)
    assert len(await shop.outcomes(2)) == 2
    assert await shop.nothing_due(1)
    assert len(bench.taken()) == 2


# -- the service's own queue -------------------------------------------------------------------------------------------


class Gate:
    """A mail server that takes nothing until told to, and counts."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = self.waiting_max = 0
        self.taken: list[str] = []

    async def send(self, delivery_id: str, email: str, letter: Letter, at: datetime) -> Answer:
        self.waiting += 1
        self.waiting_max = max(self.waiting_max, self.waiting)
        await self.open.wait()
        self.waiting -= 1
        self.taken.append(delivery_id)
        return TAKEN

    async def close(self) -> None: ...


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def queue(pool: asyncpg.Pool, gate: Gate) -> AsyncIterator[Shop]:
    queue = DeliveryQueue(PostgresTable(pool), mail_line(gate, at_once=4))

    async def commit(written: Sequence[Written]) -> None:
        async with pool.acquire() as connection, connection.transaction():
            await queue.write(connection, written)

    await queue.opened(0)
    yield Shop(queue, commit)
    await queue.stop()


@pytest.mark.stack
async def test_however_many_wait_only_a_page_is_in_memory_and_few_are_under_way(queue: Shop, gate: Gate) -> None:
    orders = TAKEN_MAX
    for number in range(orders):
        await queue.order(f"order-{number}")
    await asyncio.sleep(0.3)
    assert isinstance(queue.queue, DeliveryQueue)
    assert len(queue.queue.lines[0].sending) <= TAKEN_MAX
    assert gate.waiting == 4
    gate.open.set()
    outcomes = await queue.outcomes(TAKEN_MAX // 2)
    while len(outcomes) < 2 * orders:
        for outcome in outcomes[-TAKEN_MAX:]:
            await queue.hear(outcome)
        outcomes += await queue.outcomes(1)
    assert gate.waiting_max == 4
    assert len(gate.taken) == len(set(gate.taken)) == 2 * orders


@pytest.mark.stack
async def test_a_server_that_hangs_holds_up_nothing_but_its_mail(queue: Shop, gate: Gate) -> None:
    for number in range(20):
        async with asyncio.timeout(30):
            await queue.order(f"order-{number}")
            assert queue.queue.due(datetime.now(UTC), 0) == []
    assert gate.taken == []


@pytest.mark.stack
async def test_a_letter_that_waits_its_turn_is_not_sent_for_a_lost_shard(queue: Shop, gate: Gate) -> None:
    for number in range(5):
        await queue.order(f"order-{number}")
    await asyncio.sleep(0.2)
    queue.queue.closed(0)
    gate.open.set()
    await asyncio.sleep(0.2)
    assert len(gate.taken) == 4
    assert queue.queue.due(datetime.now(UTC), 0) == []


@pytest.mark.stack
async def test_a_template_that_fails_is_a_problem_of_its_letter_alone(
    queue: Shop, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(queued: Queued) -> Letter:
        raise ValueError(queued.email)

    monkeypatch.setattr("services.notification.agenda.letter", broken)
    await queue.order()
    answers = [outcome.payload for outcome in await queue.outcomes(2)]
    assert [(one.problem, one.final) for one in answers] == [("unwritable", False)] * 2
    assert "@" not in caplog.text
