"""What no log line may say: an address, a password, what people wrote, what stands in a row."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Any

import aiosmtplib
import asyncpg
import pytest
from aiokafka.errors import SaslAuthenticationFailed
from asyncpg.exceptions import PostgresError
from pydantic import SecretStr, ValidationError

from schemas.common import Party
from schemas.wire import Command
from services.notification.letters import Letter
from services.notification.smtp import MailSettings, Smtp
from services.notification.webhooks import Endpoint, Webhooks, WebhookSettings
from shared.kernel.decider import Output
from shared.kernel.policies import Policies
from shared.runtime import logs
from shared.runtime.postgres.database import outage
from tests.domain.test_notification_webhooks import queued
from tests.kit.counter_decider import Add, Count, counter_decider
from tests.kit.stored_events import NOON
from tests.kit.test_mail import Server as MailServer
from tests.kit.test_shard_loop import BUYER, Shop

ADDRESS, WORDS, PASSWORD = "anna.secret@example.com", "It-was-broken-and-I-cried", "p4ssw0rd-planted"
WEBHOOK_KEY = "whsec_" + "cGxhbnRlZC1wbGFudGVkLXBsYW50ZWQtcGxhbnRlZA=="
PLANTED = (ADDRESS, WORDS, PASSWORD, WEBHOOK_KEY, "anna", "cried")
ROW = f"Failing row contains (1, {ADDRESS}, {WORDS})."
ROOT = Path(__file__).parents[2]


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What a service writes, all levels of it."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(written), root.level
    settings = MailSettings(smtp_password=SecretStr(PASSWORD), database_url=f"postgresql://shop:{PASSWORD}@db/shop")
    handler.setFormatter(logs.JsonLines("order", logs.secrets_of(settings)))
    handler.addFilter(lambda record: not record.name.startswith("mail."))  # the other side of the wire
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


def assert_silent(lines: Sequence[dict[str, Any]], about: str) -> None:
    """Something was said, it names what kind of thing went wrong, and it gives nothing away."""
    text = json.dumps(lines, ensure_ascii=False)
    assert about in text
    assert not [one for one in PLANTED if one in text], text


Lines = Callable[[], list[dict[str, Any]]]


def from_server(code: str, message: str, **more: str) -> PostgresError:
    """As asyncpg makes it of what PostgreSQL answers."""
    error: PostgresError = PostgresError.new({"S": "ERROR", "C": code, "M": message, **more})
    return error


REFUSALS: list[tuple[PostgresError, str]] = [
    (
        from_server("23514", 'new row for relation "letter" violates check "c"', D=ROW, n="c", t="letter"),
        "CheckViolation",
    ),
    (from_server("23505", f'duplicate key ("{ADDRESS}")', D=f"Key (email)=({ADDRESS}) exists."), "UniqueViolation"),
    (from_server("22P02", f'invalid input syntax for type integer: "{WORDS}"'), "InvalidTextRepresentation"),
    (
        from_server("22P05", f'character with byte sequence 0xe2 in "{WORDS}" has no equivalent'),
        "UntranslatableCharacter",
    ),
    (from_server("42P01", 'relation "shard" does not exist', D=ROW, H=ROW), 'relation \\"shard\\" does not exist'),
    (from_server("28P01", 'password authentication failed for user "shop"'), "password authentication failed"),
]


@pytest.mark.parametrize(("refused", "told"), REFUSALS, ids=[told for _, told in REFUSALS])
def test_what_the_database_refuses_is_named_and_not_quoted(lines: Lines, refused: PostgresError, told: str) -> None:
    with pytest.raises(Exception) as raised, outage():
        raise refused
    logging.getLogger("shared").warning("outage: %s", raised.value)
    logging.getLogger("shared").warning("outage: %s: %s", type(refused).__name__, refused)
    logging.getLogger("shared").error("it stops", exc_info=raised.value)
    logging.getLogger("shared").error("it stops", extra={"trouble": refused})
    assert_silent(lines(), told)


def _quoting(state: Count | None, command: Command, now: datetime, policies: Policies) -> Sequence[Output]:
    raise AssertionError(f"{command!r} of {ADDRESS}: {WORDS}")


def _mistyped(state: Count | None, command: Command, now: datetime, policies: Policies) -> Sequence[Output]:
    try:
        return [dict[str, Output]()[WORDS]]
    except KeyError as missing:
        try:
            Party(id=WORDS * 30, email=ADDRESS)
        except ValidationError as wrong:
            raise wrong from missing
        raise


def _in_groups(state: Count | None, command: Command, now: datetime, policies: Policies) -> Sequence[Output]:
    raise ExceptionGroup(WORDS, [ValueError(ADDRESS), TypeError(WORDS)])


@pytest.mark.parametrize(
    ("bug", "told"),
    [(_quoting, "AssertionError"), (_mistyped, "ValidationError"), (_mistyped, "KeyError"), (_in_groups, "TypeError")],
)
async def test_a_bug_is_found_by_its_kind_and_place(lines: Lines, bug: Any, told: str) -> None:
    shop = Shop()
    process = await shop.process(counter_decider(decide=bug))
    shop.send(Add(order_id="order-1", actor=BUYER, amount=1), "c1")
    await process.work()
    assert_silent(lines(), told)
    assert bug.__name__ in json.dumps(lines()), "the way to it is told"


@pytest.mark.parametrize(
    "said", [b'{"order_id": "order-1", "%s": "%s"}', b'{"%s": "%s"', b"%s %s", b'{"order_id": "%s", "amount": "%s"}']
)
async def test_a_bad_command_is_answered_and_not_quoted(lines: Lines, said: bytes) -> None:
    shop = Shop()
    process = await shop.process()
    value = said % (ADDRESS.encode(), WORDS.encode())
    shop.bus.append("order.commands", b"order-1", value, [("ce_id", b"c1"), ("ce_type", Add.type.encode())])
    await process.work()
    logging.getLogger("tests").info("handled")
    assert_silent(lines(), "handled")


async def test_a_mail_server_that_quotes_the_mail_is_not_quoted(lines: Lines) -> None:
    server = MailServer(answer=lambda recipient: f"550 5.1.1 {ADDRESS} is not here, says {WORDS}")
    async with server.running():
        about: dict[str, Any] = {"smtp_security": "none", "mail_from": "Shop <shop@example.com>"}
        smtp = Smtp(MailSettings(smtp_host="127.0.0.1", smtp_port=server.port, **about))
        letter = Letter(f"For {ADDRESS}", WORDS, WORDS)
        assert (await smtp.send("d1", ADDRESS, letter, NOON)).final
        await smtp.close()
    away = Smtp(MailSettings(smtp_host="127.0.0.1", smtp_port=server.port, **about))
    await away.send("d1", ADDRESS, letter, NOON)
    refused = aiosmtplib.SMTPRecipientRefused(550, f"{ADDRESS} is not here", ADDRESS)
    logging.getLogger("services").error("no mail", exc_info=refused)
    assert Address("Shop", "shop", "example.com") == smtp.settings.sender
    assert_silent(lines(), "SMTPRecipientRefused")


async def test_a_webhook_that_fails_gives_away_neither_its_key_nor_what_it_says(lines: Lines) -> None:
    endpoint = Endpoint(url=f"https://127.0.0.1:9/{PASSWORD}", secrets=(SecretStr(WEBHOOK_KEY),))
    webhooks = Webhooks(WebhookSettings(webhook_endpoints=(endpoint,), webhook_allow_private=True))
    told = queued(facts={"description": WORDS, "email": ADDRESS})
    await webhooks.send(told, NOON)
    await webhooks.close()
    assert_silent(lines(), "no webhook can be handed over")


async def test_a_broker_that_knows_us_not_and_a_task_that_nobody_awaits_are_named(lines: Lines) -> None:
    wrong = SaslAuthenticationFailed(f"Authentication failed: shop/{PASSWORD} by {ADDRESS}")
    logging.getLogger("shared").warning("waiting for %s: %s: %s", "kafka", type(wrong).__name__, wrong)

    async def forgotten() -> None:
        raise ValueError(f"{ADDRESS} {WORDS}")

    task: Awaitable[None] = asyncio.create_task(forgotten())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_exception_handler({"message": "forgotten", "exception": task.exception()})  # type: ignore[attr-defined]
    assert_silent(lines(), "SaslAuthenticationFailed")


def test_what_must_not_be_said_is_not_said_however_it_gets_into_a_line(lines: Lines) -> None:
    log = logging.getLogger("shared")
    log.info("a letter to %s <%s>", "somebody", ADDRESS)
    log.info(f"postgresql://shop:{PASSWORD}@db.example.com:5432/shop", extra={"key": f"x{PASSWORD}x"})
    log.info("%(email)s", {"email": ADDRESS})
    log.info("seen", extra={"record": {"email": ADDRESS}, "offset": 7, "input_id": "order/order-1@1772442000000"})
    text = json.dumps(lines())
    assert not [one for one in (ADDRESS, PASSWORD, "anna") if one in text]
    assert "order/order-1@1772442000000" in text, "an id is none"


def test_an_error_keeps_its_words_where_they_help() -> None:
    assert logs.words(TimeoutError("no answer within 5 s")) == "no answer within 5 s"
    assert "Connect call failed" in logs.words(OSError(111, "Connect call failed ('127.0.0.1', 5432)"))
    assert "does not exist" in logs.words(asyncpg.UndefinedTableError('relation "shard" does not exist'))


@pytest.mark.parametrize(
    ("service", "env"),
    [
        ("order", {"RECOURSE_KAFKA_PASSWORD": PASSWORD}),
        ("order", {"RECOURSE_PARTITIONS": PASSWORD, "RECOURSE_LEASE_SECONDS": ADDRESS}),
        ("notification", {"RECOURSE_WEBHOOK_ENDPOINTS": f'[{{"url": "https://{ADDRESS}/{PASSWORD}", "secrets": 7}}]'}),
        ("notification", {"RECOURSE_WEBHOOK_ENDPOINTS": f"[{PASSWORD}"}),
        ("notification", {"RECOURSE_SMTP_HOST": "mail", "RECOURSE_MAIL_FROM": ADDRESS + "?" + PASSWORD}),
    ],
)
def test_settings_that_are_none_are_not_shown(service: str, env: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    said = ended.stdout + ended.stderr
    assert not [one for one in (ADDRESS, PASSWORD, WEBHOOK_KEY) if one in said], said
    assert "RECOURSE_" in said or "validation error" in said or "error parsing value" in said


def test_a_message_that_is_none_does_not_show_what_it_was() -> None:
    with pytest.raises(ValidationError) as raised:
        Party(id=WORDS * 30, email=ADDRESS)
    assert "anna" not in str(raised.value)
    with pytest.raises(ValidationError) as read:
        Add.read(json.dumps({"order_id": "order-1", "actor": ADDRESS, "amount": WORDS}))
    assert "anna" not in str(read.value)
    assert "cried" not in str(read.value)
