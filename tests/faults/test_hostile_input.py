"""Whatever lies in an inbox is answered or set aside, and the service goes on (the contract's limits and trust)."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage

import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from deploy.stories.claims import disputed
from deploy.stories.dialogue import PlayedOrder as Order
from deploy.stories.dialogue import Scene, hire_mediators
from deploy.stories.live import LiveStage
from schemas.topics import SERVICES, Topic
from shared.runtime.partitions import partition_of
from tests.faults.from_schema import good, placed, schemas
from tests.faults.hostile import PARTITIONS, RawProducer, Sent
from tests.faults.hostile_table import (
    DISPUTED,
    INBOXES,
    MEDIATED,
    OUTSIDERS,
    PAYMENTS,
    REFUNDED,
    REPLIES,
    ROWS,
    WAITING,
)
from tests.support.commands import headers
from tests.support.topics import header as header_of
from tests.support.topics import read_all

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

OURS = ("world", "life/", "hostile/")
"""How the ids of all begin that was sent."""
EVENTS = [f"{service}.events" for service in SERVICES]
WORLD = (WAITING, DISPUTED, MEDIATED, REFUNDED)
MAIL_HEADERS = ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]
PLACE = ("topic", "partition", "offset")


@dataclass
class Played:
    """What became of every row, and of the services."""

    outcomes: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    """The same once more, after all services were started anew: what they know comes from their tables now."""
    unexplained: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What the services logged as an error or worse."""
    replies: int = 0
    by_schema: dict[str, list[str]] = field(default_factory=dict)
    """Command id -> answers, of what the published schemas allow."""
    after_all_again: list[str] = field(default_factory=list)
    """What was said when everything in the inboxes had come a second time."""
    mails: list[EmailMessage] = field(default_factory=list)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played() -> Played:
    async with Stack(own_servers=True, partitions=PARTITIONS) as stack:
        return await play(stack)


async def play(stack: Stack) -> Played:
    """All rows at once, twice; raises if a service ends, or if one of its partitions is heard no more."""
    await create_topics(stack.bootstrap_servers, [Topic(REPLIES, PARTITIONS)])
    settings = {"RECOURSE_PARTITIONS": str(PARTITIONS)}
    await stack.start_services(SERVICES, settings)
    played = Played()
    async with (
        LiveStage(stack.bootstrap_servers, policy="aliexpress") as stage,
        RawProducer(stack.bootstrap_servers) as to,
    ):
        await set_the_scene(stage)
        for times, outcomes in enumerate((played.outcomes, played.again)):
            if times:
                for service in stack.services.values():
                    await service.stop()
                await stack.start_services(SERVICES, settings)
            offsets = {}
            for name, command_id, sent in commands(times):
                offsets[name] = (command_id, sent, await to.send(sent))
            await signs_of_life(stack, stage, to, times)
            outcomes |= await what_came(stack, offsets, played.unexplained)
        played.by_schema = await by_schema(stack, stage, to)
        played.after_all_again = await all_again(stack, stage, to)
    played.complaints = complaints(stack)
    played.mails = stack.mailbox.messages
    played.replies = len(await read_all(stack.bootstrap_servers, [REPLIES]))
    return played


async def set_the_scene(stage: LiveStage) -> None:
    """Orders in four situations, so that strangers have something to meddle with."""
    await hire_mediators(stage, "world")
    scene = Scene(stage, "world")
    await scene.order(lamp=10_00)
    disputed_order = await scene.shipped_order(lamp=10_00)
    await disputed(disputed_order, 10_00)
    mediated = await scene.shipped_order(lamp=10_00)
    await disputed(mediated, 10_00)
    await mediated.seller.says("dispute.reject", dispute_id="d1")
    await mediated.buyer.says("dispute.escalate", dispute_id="d1")
    await mediated.mediator()
    refunded = await scene.order(lamp=10_00)
    await refunded.buyer.says("order.cancel")
    await refunded.ends(buyer=10_00, seller=0)
    assert [case.order_id for case in scene.cases] == [WAITING, DISPUTED, MEDIATED, REFUNDED]


def commands(times: int) -> Iterator[tuple[str, str, Sent]]:
    for number, row in enumerate(ROWS.values()):
        command_id = f"hostile/{times}/{number}"
        yield row.name, command_id, row.twist(row.inbox.good(f"hostile-{times}-{number}", command_id))


async def signs_of_life(stack: Stack, stage: LiveStage, to: RawProducer, times: int | str) -> None:
    """A good command behind all others on every partition of every inbox is answered."""
    for inbox in INBOXES:
        for partition in range(PARTITIONS):
            order_id = next(
                order_id
                for number in range(100)
                if partition_of((order_id := f"life-{inbox.topic}-{times}-{number}").encode(), PARTITIONS) == partition
            )
            case = Order(stage, order_id, 0, stage.rules)
            stage.follow(case)
            await to.send(inbox.good(order_id, f"life/{order_id}"))
            answered = await stage.until(lambda case=case: bool(case.seen), case, timedelta(seconds=30))  # type: ignore[misc]
            for service in stack.services.values():
                service.check()
            assert answered, f"{inbox.topic}/{partition} is heard no more"


async def what_came(
    stack: Stack, sent: dict[str, tuple[str, Sent, int | None]], unexplained: list[str]
) -> dict[str, str]:
    """For every row what was said of it; and what was said of nothing that should be heard."""
    topics = [topic.name for topic in stack.topics if topic.name.endswith((".events", ".dead-letters"))]
    topics = [*(topic for topic in topics if topic != PAYMENTS.topic), "payments.commands"]
    set_aside: dict[tuple[str, int, int], str] = {}
    said: defaultdict[str, set[str]] = defaultdict(set)
    led_to: defaultdict[str, set[str]] = defaultdict(set)
    causes: dict[str, str] = {}
    for record in await read_all(stack.bootstrap_servers, topics):
        if record.topic.endswith(".dead-letters"):
            topic, place, offset = (header_of(record, f"kafka_dlt-original-{of}") for of in PLACE)
            reason = header_of(record, "x-dead-letter-reason").partition(":")[0]
            set_aside[topic, int(place), int(offset)] = f"dead letter {reason}"
            continue
        type_ = header_of(record, "ce_type").removesuffix(".v1")
        what = f"refusal {json.loads(record.value)['code']}" if type_.endswith(".rejected") else type_
        cause = header_of(record, "ce_causationid")
        if not cause.startswith(OURS) and cause not in causes:  # an alarm, a letter: it belongs to the same story
            led_to[header_of(record, "ce_correlationid")].add(what)
            continue
        causes[header_of(record, "ce_id")] = cause
        said[cause].add(what)
        while cause in causes:
            cause = causes[cause]
            led_to[cause].add(what)
    outcomes = {}
    for name, (command_id, row, lies_at) in sent.items():
        if lies_at is None:
            outcomes[name] = "not taken"
            continue
        aside = set_aside.pop((row.topic, row.place, lies_at), "")
        outcomes[name] = " and ".join(sorted(said[command_id]) + [aside] * bool(aside)) or "nothing"
        if outcomes[name] != ROWS[name].inbox.answer:
            unexplained += [f"{name}: {what}" for what in led_to[command_id]]
    unexplained += [
        f"{cause}: {led_to[cause]}" for cause in led_to.keys() - causes.keys() if not cause.startswith(OURS)
    ]
    return outcomes


async def by_schema(stack: Stack, stage: LiveStage, to: RawProducer) -> dict[str, list[str]]:
    """A few commands of every type, about orders that exist."""
    answers: dict[str, list[str]] = {}
    topics = {inbox.topic for inbox in OUTSIDERS}
    for schema in (schema for schema in schemas() if schema["x-topic"] in topics):
        for number, content in enumerate(good(schema, len(WORLD))):
            command_id = f"schema/{schema['title']}/{number}"
            key, value = placed(schema, content, WORLD[number % len(WORLD)])
            about = tuple(headers(schema["title"], command_id))
            await to.send(Sent(schema["x-topic"], content, value, about, key))
            answers[command_id] = []
    await signs_of_life(stack, stage, to, "by-schema")
    for record in await read_all(stack.bootstrap_servers, EVENTS):
        if (cause := header_of(record, "ce_causationid")) in answers:
            answers[cause].append(header_of(record, "ce_type"))
    return answers


async def all_again(stack: Stack, stage: LiveStage, to: RawProducer) -> list[str]:
    """Everything that ever lay in an inbox outsiders write, once more as it was; returns what is answered now, but for
    the word that it came again."""
    sent = await read_all(stack.bootstrap_servers, [inbox.topic for inbox in OUTSIDERS])
    before = await answered(stack)
    for old in sent:
        await to.send(Sent(old.topic, {}, old.value, tuple(old.headers), old.key, old.partition))
    await signs_of_life(stack, stage, to, "all-again")
    asked = {header_of(record, "ce_id") for record in sent}
    new = (await answered(stack) - before).elements()
    return [f"{type_} to {cause}" for type_, cause in new if cause in asked and ".repeated." not in type_]


async def answered(stack: Stack) -> Counter[tuple[str, str]]:
    """(type, what it answers) of all that was ever said."""
    said = await read_all(stack.bootstrap_servers, EVENTS)
    return Counter((header_of(record, "ce_type"), header_of(record, "ce_causationid")) for record in said)


def complaints(stack: Stack) -> list[str]:
    found = []
    for name, service in stack.services.items():
        for line in service.log.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"level": "unreadable"}
            if entry["level"] not in ("debug", "info", "warning"):
                found.append(f"{name}: {line[:300]}")
    return found


@pytest.mark.parametrize("name", ROWS)
async def test_it_is_answered_or_set_aside(played: Played, name: str) -> None:
    assert played.outcomes[name] == ROWS[name].expected


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.expected != row.inbox.answer])
async def test_and_so_after_a_restart(played: Played, name: str) -> None:
    known = name == "payments.events: a payment of another order"  # the very same word, and its leg is in review
    assert played.again[name] == ("nothing" if known else ROWS[name].expected)


async def test_nothing_else_is_said(played: Played) -> None:
    assert played.unexplained == []
    assert played.replies == 0


async def test_no_service_complains(played: Played) -> None:
    assert played.complaints == []


async def test_what_the_schemas_allow_is_answered(played: Played) -> None:
    assert len(played.by_schema) > 100
    assert [one for one, said in played.by_schema.items() if not said] == []


async def test_old_commands_played_again_say_nothing_new(played: Played) -> None:
    assert played.after_all_again == []


async def test_no_mail_says_more_than_we_wrote(played: Played) -> None:
    assert played.mails
    for mail in played.mails:
        assert sorted(mail.keys()) == MAIL_HEADERS
        [html] = [part.get_content() for part in mail.walk() if part.get_content_type() == "text/html"]
        assert not re.search(r"<(script|img|b)\b", html)
    everything = "".join(part.get_content() for mail in played.mails for part in mail.iter_parts())
    assert "{{ 7 * 7 }}" in everything
    assert "&lt;script&gt;" in everything
    assert not re.search("[\u202a-\u202e]", everything)
    opened, closed = (len(re.findall(one, everything)) for one in ("[\u2066-\u2068]", "\u2069"))
    assert opened == closed, "only our own isolates, each with its end (R79)"
