"""Records that once ended or silenced a service for ever, one by one, on the in-memory composition."""

import json
from itertools import count
from typing import Any

import pytest

from deploy.memory import whole_system
from schemas.instants import rfc3339
from schemas.topics import DEAD_LETTER_BYTES_MAX
from shared.kernel.codec import header
from shared.runtime.memory import World
from tests.support.commands import command

KEY = "o1"
COMMANDS = count()
PLACE: dict[str, Any] = {
    "buyer": {"id": "buyer-1", "email": "buyer@example.com"},
    "seller": {"id": "seller-1", "email": "seller@example.com"},
    "currency": "EUR",
    "lines": [{"line_id": "l1", "title": "Lamp", "quantity": 1, "amount_minor": 1_000}],
    "payment": {"payment_id": "p1", "amount_minor": 1_000},
}


def say(
    world: World, type_: str, *headers: tuple[str, bytes | None], key: str = KEY, role: str = "platform", **data: Any
) -> str:
    """Returns the id under which the answer will be found."""
    command_id = f"c{next(COMMANDS)}"
    given = command(f"{type_}.v1", KEY, role, f"{role}-1", data, command_id)
    world.bus.append(given.topic, key.encode(), given.value, [*given.headers, *headers])
    return command_id


async def answers(world: World, service: str, command_id: str) -> list[str]:
    """Types, or the codes of refusals; with nothing kept in memory between one record and the next."""
    await world.settle()
    for loop in world.loops:
        for shard in loop.shards.values():
            shard.streams.clear()
    return [
        json.loads(record.value or b"").get("code") or (header(record.headers, "ce_type") or "").removesuffix(".v1")
        for record in world.bus.records(f"{service}.events")
        if header(record.headers, "ce_causationid") == command_id
    ]


async def reasons(world: World, service: str) -> list[str]:
    await world.settle()
    letters = world.bus.records(f"{service}.dead-letters")
    return [(header(letter.headers, "x-dead-letter-reason") or "").partition(":")[0] for letter in letters]


@pytest.mark.parametrize("name", ["x-anything", "content-type", "traceparent", "ce_correlationid"])
async def test_a_header_without_a_value(name: str) -> None:
    world, _ = await whole_system()
    assert await answers(world, "order", say(world, "order.place", (name, None), **PLACE)) == ["order.placed"]


async def test_a_header_without_a_value_is_kept_in_the_dead_letter() -> None:
    world, _ = await whole_system()
    world.bus.append("order.commands", b"o1", b"not JSON", [("ce_id", b"c"), ("ce_type", b"t"), ("x", None)])
    assert await reasons(world, "order") == ["not_json"]
    assert ("x", None) in world.bus.records("order.dead-letters")[0].headers


@pytest.mark.parametrize(
    "instant",
    [
        "0001-01-01T00:00:00Z",
        "0999-12-31T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1970-01-01T00:00:00+14:00",
        "9998-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
async def test_an_instant_at_the_edge_of_the_calendar(instant: str) -> None:
    world, _ = await whole_system()
    say(world, "order.place", **PLACE)
    await world.settle()  # and it is paid
    say(world, "order.ship", role="seller", carrier="c", tracking_number="t")
    await answers(world, "order", say(world, "order.report_tracking", status="delivered", at=instant))
    later = say(world, "order.report_tracking", status="delivered", at=rfc3339(world.bus.now))
    assert await answers(world, "order", later) == ["order.tracking_reported"]


async def test_a_key_that_is_no_id_is_refused_again_and_again() -> None:
    world, _ = await whole_system()
    for _ in range(2):
        command_id = say(world, "order.place", key="no id at all!", **PLACE)
        assert await answers(world, "order", command_id) == ["key_mismatch"]


@pytest.mark.parametrize("sequence", [b"9" * 40, b"9" * 19, b"-1", b"\xd9\xa1"])
async def test_a_sequence_that_no_table_holds(sequence: bytes) -> None:
    world, _ = await whole_system()
    forged = ("ce_source", b"elsewhere"), ("ce_sequence", sequence)
    say(world, "timer.cancel", *forged, timer_id="order/o1")
    await world.settle()
    assert all(
        mark < 2**63
        for store in world.stores.values()
        for s in store.shards.values()
        for mark in s.claim.marks.values()
    )


@pytest.mark.parametrize(
    ("key", "size"), [(b"k" * 10_000_000, 1), (b"o1", 10_000_000)], ids=["a huge key", "huge headers"]
)
async def test_a_dead_letter_of_something_huge_fits_its_topic(key: bytes, size: int) -> None:
    world, _ = await whole_system()
    world.bus.append("order.commands", key, b"x" * 1_000_000, [("ce_id", b"c"), ("x", b"x" * size)])
    assert len(await reasons(world, "order")) == 1
    letter = world.bus.records("order.dead-letters")[0]
    headers = sum(len(name) + len(raw or b"") for name, raw in letter.headers)
    assert len(letter.key or b"") + len(letter.value or b"") + headers < DEAD_LETTER_BYTES_MAX
    assert header(letter.headers, "x-dead-letter-cut-from") is not None


async def test_a_record_that_the_decoder_trips_over(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = await whole_system()
    order = world.loops[0]
    monkeypatch.setattr(order.decoder, "_command", lambda *_: 1 / 0)
    say(world, "order.place", **PLACE)
    assert await reasons(world, "order") == ["unreadable"]
    monkeypatch.undo()
    assert await answers(world, "order", say(world, "order.place", **PLACE)) == ["order.placed"]


@pytest.mark.parametrize(
    ("role", "to", "code"), [("buyer", "order", "not_allowed"), ("platform", "notification", "invalid")]
)
async def test_a_timer_that_must_not_be_set(role: str, to: str, code: str) -> None:
    world, _ = await whole_system()
    due = {"timer_id": "order/o1", "name": "processing_ends", "due_at": "2026-01-01T00:00:00Z", "deliver_to": to}
    assert await answers(world, "timer", say(world, "timer.schedule", role=role, **due)) == [code]
