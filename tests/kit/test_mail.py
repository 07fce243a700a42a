"""Mail as a real server gets it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import ValidationError

from schemas.notification.events import Queued
from services.notification.letters import Letter
from services.notification.projection import TAKEN, UNREACHABLE, MemoryDeliveryTable, SendResult
from services.notification.smtp import MailSettings, Smtp, deliverable, mail_channel
from tests.kit.shop import Rows, Shop

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
LETTER = Letter("Order 1: paid", "It is paid.\n", "<p>It is paid.</p>")


@dataclass
class Server:
    """A mail server of this machine that answers as it is told."""

    raw: list[bytes] = field(default_factory=list)
    answer_to_data: str = "250 OK"
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
        if not self.answer_to_data.startswith("250"):
            return self.answer_to_data
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
    ("550 5.1.1 <bea@example.org> unknown", SendResult("refused", 550, final=True)),
    ("550 5.1.10 bea@example.org: no such recipient", SendResult("refused", 550, final=True)),
    ("551 5.1.6 bea@example.org has moved", SendResult("refused", 551, final=True)),
    ("553 5.1.3 bea@example.org is no address", SendResult("refused", 553, final=True)),
    ("550 bea@example.org: mailbox unavailable", SendResult("refused", 550)),
    ("550 5.7.1 Client host blocked", SendResult("refused", 550)),
    ("550 5.4.1 bea@example.org: access denied", SendResult("refused", 550)),
    ("550 5.1.17 bea@example.org?", SendResult("refused", 550)),
    ("450 5.1.1 bea@example.org? later", SendResult("refused", 450)),
    ("552 5.2.2 bea@example.org: full", SendResult("refused", 552)),
    ("550 5.2.1 bea@example.org: disabled", SendResult("refused", 550)),
    ("451 4.7.1 later, bea@example.org", SendResult("refused", 451)),
    ("421 4.3.2 going down", SendResult("refused", 421)),
    ("bea@example.org? never heard of", UNREACHABLE),
]


@pytest.mark.rule("R80")
@pytest.mark.parametrize(("reply", "expected"), ANSWERS)
async def test_what_a_servers_no_means(
    server: Server, smtp: Smtp, reply: str, expected: SendResult, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = lambda recipient: reply
    assert await smtp.send("abc", "bea@example.org", LETTER, AT) == expected
    server.answer = lambda recipient: "250 OK"
    assert await smtp.send("abc", "bea@example.org", LETTER, AT) == TAKEN
    assert "bea" not in str([vars(record) for record in caplog.records if record.name != "mail.log"])


@pytest.mark.rule("R80")
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("554 5.7.1 Message blocked, our system thinks it unsolicited", SendResult("refused", 554)),
        ("550 5.1.1 <bea@example.org> is nobody", SendResult("refused", 550, final=True)),
    ],
)
async def test_a_no_to_the_whole_mail_means_the_same(
    server: Server, smtp: Smtp, reply: str, expected: SendResult
) -> None:
    server.answer_to_data = reply
    assert await smtp.send("abc", "bea@example.org", LETTER, AT) == expected


BAD = ["a@b>", "<a@b", "a,b@c.org", "a@b@c.org", "a b@c.org", "a@c_d.org", ".a@c.org", "a..b@c.org", "a@"]
BAD += ['"a@b"@c.org', '"a\\"b"@c.org', '"a,b"@c.org', '""@c.org']


@pytest.mark.parametrize("email", [*BAD, "a@b.org\r\nRCPT TO:<x@y.org>", "a@b.org>\r\nDATA", "ä" * 65 + "@c.org"])
async def test_an_address_that_could_be_read_in_two_ways_gets_no_mail(server: Server, smtp: Smtp, email: str) -> None:
    assert await smtp.send("abc", email, LETTER, AT) == SendResult("bad_address", final=True)
    assert server.connections == 0


UNUSUAL = ["a@b", "o'neil+x=1@mail.example.co", "jörg@example.org", "a@xn--bcher-kva.example"]
QUOTED = ['"john smith"@example.org']


@pytest.mark.rule("R75")
@pytest.mark.parametrize("email", [*UNUSUAL, *QUOTED])
async def test_an_unusual_address_gets_its_mail(server: Server, smtp: Smtp, email: str) -> None:
    assert await smtp.send("abc", email, LETTER, AT) == TAKEN
    assert server.recipients == [email]
    assert f"\r\nTo: {email}\r\n".encode() in server.raw[0]


DOMAINS = [
    ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
    ("a@straße.example", "a@xn--strae-oqa.example"),
    ("a@STRAẞE.example", "a@xn--strae-oqa.example"),
    ("a@strasse.example", "a@strasse.example"),
    ("a@κλαρα-σωλις.example", "a@xn----ylba7abgd9bnh0e.example"),
    ("a@نامه\u200cای.example", "a@xn--mgba3gch31f060k.example"),
    ("a@ශ්\u200dරී.example", "a@xn--10cl1a0b660p.example"),
    ("a@ශ්රී.example", "a@xn--10cl1a0b.example"),
    ("a@ꮳꮃꭹ.example", "a@xn--f9dt7l.example"),
    ("a@例え。テスト", "a@xn--r8jz45g.xn--zckzah"),
    ("a@♥ü.example", None),
    ("a@ü..example", None),
    ("a@" + "ü" * 64 + ".example", None),
]


@pytest.mark.rule("R80")
@pytest.mark.parametrize(("email", "expected"), DOMAINS)
def test_a_domain_beyond_ascii_is_written_as_mail_servers_know_it(email: str, expected: str | None) -> None:
    assert deliverable(email) == expected


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


# -- its way -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R49")
async def test_a_letter_that_is_refused_for_now_comes_later_as_the_same_mail(server: Server) -> None:
    shop = Shop(Rows(MemoryDeliveryTable()), mail_channel(smtp_at(server.port)))
    await shop.queue.opened(0)
    server.answer = lambda recipient: "451 later" if recipient.startswith("bea") else "250 OK"
    await shop.order()
    await shop.settle()
    assert server.recipients == ["sam@example.org"]
    server.answer = lambda recipient: "250 OK"
    shop.wait(minutes=1)
    await shop.settle()
    assert server.recipients == ["sam@example.org", "bea@example.org"]
    sent = [(f"<{one.delivery_id}@recourse.test>", one.attempts) for one in shop.told()]
    assert sent == [(mail["Message-ID"], number) for number, mail in enumerate(server.mails, start=1)]
    assert {mail["Subject"] for mail in server.mails} == {"Order order-1: 20.00 EUR paid"}
    await shop.queue.stop()


async def test_a_template_that_fails_is_a_problem_of_its_letter_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(queued: Queued) -> Letter:
        raise ValueError(queued.email)

    monkeypatch.setattr("services.notification.smtp.letter", broken)
    shop = Shop(Rows(MemoryDeliveryTable()), mail_channel(smtp_at(server.port)))
    await shop.queue.opened(0)
    await shop.order()
    assert [(one.problem, one.final) for one in await shop.attempts()] == [("unwritable", False)] * 2
    assert "@" not in caplog.text
    assert server.mails == []
    await shop.queue.stop()
