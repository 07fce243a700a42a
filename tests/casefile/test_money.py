"""The case file's books are the refund service's own, entry by entry, and so is what waits for a person."""

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random

import pytest

from schemas.instants import to_ms
from schemas.wire import Message
from services.casefile.books.money import Books, books, concerns_money
from services.composition import DECIDERS
from services.refund.ledger import BookedEntry, Entry
from services.refund.projection import MemoryReviewTable, ReviewQueue
from services.refund.states import Order, Pending, stage
from shared.kernel.codec import header
from shared.kernel.ports import Record, StoredEvent
from shared.kernel.stream import Stream, fold
from tests.simulation.plan import RULES, draw
from tests.simulation.play import Played, play

HISTORIES = int(os.environ.get("RECOURSE_TEST_MONEY", "30"))

pytestmark = [pytest.mark.rule("R22"), pytest.mark.timeout(60 + 4 * HISTORIES)]


@pytest.fixture(scope="module")
def histories() -> Sequence[Played]:
    return [play(draw(seed)) for seed in range(HISTORIES)]


def by_order(records: Sequence[Record]) -> Mapping[str, list[Record]]:
    found = defaultdict(list)
    for record in records:
        if concerns_money(record):
            found[(record.key or b"").decode()].append(record)
    return found


def books_of(played: Played) -> Mapping[str, Books]:
    records = by_order(played.world.bus.heard)
    return {order_id: books(order_id, said, RULES) for order_id, said in records.items()}


def booked(kept: Books) -> list[BookedEntry]:
    return [
        BookedEntry(
            one.entry_id,
            one.order_id,
            one.event_type,
            one.booked_at,
            Entry(one.currency, one.from_account, one.to_account, one.amount_minor),
        )
        for one in kept.entries
    ]


def known_to_the_service(played: Played) -> Mapping[str, Order]:
    """What it has itself, with what it says to nobody."""
    rows = defaultdict(list)
    for row in played.rows("refund"):
        rows[row.stream_id or ""].append(row)
    decider = DECIDERS["refund"]
    streams = {order_id: fold(decider, Stream(order_id), said) for order_id, said in rows.items() if order_id}
    return {order_id: one.state for order_id, one in streams.items() if isinstance(one.state, Order)}


def stages(order: Order) -> Mapping[tuple[str, str], tuple[str, int | None]]:
    """Of each movement, and what is still to be moved of it."""
    found = {}
    for key, leg in order.legs.items():
        settlement_id, _, name = key.rpartition("/")
        owed = leg.owed.amount_minor if isinstance(leg, Pending) else None
        found[settlement_id, name] = stage(leg, order.on_hold), owed
    return found


def test_the_books_are_the_refund_services_own_whatever_goes_wrong(histories: Sequence[Played]) -> None:
    types = set()
    for seed, played in enumerate(histories):
        found = books_of(played)
        mine = {one.id: one for kept in found.values() for one in booked(kept)}
        assert mine == played.world.ledger, seed
        types |= {one.event_type for one in mine.values()}
        for order_id, order in known_to_the_service(played).items():
            shown = {
                (one.settlement_id, one.leg): (
                    one.stage,
                    None if one.stage == "settled" or one.review_reason else one.amount_minor,
                )
                for one in found[order_id].movements
            }
            expected = {
                place: (is_at, None if is_at in ("settled", "manual_review") else owed)
                for place, (is_at, owed) in stages(order).items()
            }
            assert shown == expected, (seed, order_id)
    assert {"refund.captured.v1", "refund.settled.v1", "refund.paid_out.v1", "refund.commission_taken.v1"} <= types


def test_what_waits_for_a_person_is_the_refund_services_own_queue_at_every_moment(histories: Sequence[Played]) -> None:
    """The queue is empty at the end of a history: it is filled anew from what was said by then."""
    waited = set()
    for seed, played in enumerate(histories):
        said = [one for one in played.world.bus.heard if concerns_money(one)]
        for moment in range(1, len(said) + 1, 2):
            queue = asyncio.run(queued(said[:moment]))
            shown = {
                (order_id, one.settlement_id, one.leg): (one.review_since, one.review_reason)
                for order_id, records in by_order(said[:moment]).items()
                for one in books(order_id, records, RULES).movements
                if one.review_since is not None
            }
            assert shown == queue, (seed, moment)
            waited |= {reason for _, reason in shown.values()}
    assert len(waited) > 1, "hardly anything waited for a person"


async def queued(said: Sequence[Record]) -> Mapping[tuple[str, str, str], tuple[datetime | None, str | None]]:
    """By the refund service's own projection, of what it said aloud."""
    table, ids = MemoryReviewTable(), set()
    for record in said:
        id_, type_ = header(record.headers, "ce_id") or "", header(record.headers, "ce_type") or ""
        if record.topic != "refund.events" or id_ in ids:
            continue
        ids.add(id_)
        message = Message.MODELS[type_].read(record.value or b"")
        at = to_ms(datetime.fromisoformat(header(record.headers, "ce_time") or ""))
        stored = StoredEvent(0, 0, 0, record.topic, 0, None, message.key, type_, at, id_, message=message)
        await ReviewQueue(table).apply(None, [], [stored])
    return {(*place,): (one.since, one.reason) for place, one in table.reviews.items()}


def test_an_entry_once_booked_stays_as_it_is_however_far_each_topic_is_read(histories: Sequence[Played]) -> None:
    """Between topics there is no order: the case file may have heard the answer before what it answers."""
    for seed, played in enumerate(histories):
        chance = Random(seed)
        for order_id, said in by_order(played.world.bus.heard).items():
            final = books(order_id, said, RULES).entries
            for _ in range(5):
                reach = {topic: chance.randrange(len(said) + 1) for topic in ("order.events", "refund.events")}
                logs = [[one for one in said if one.topic == topic][:number] for topic, number in reach.items()]
                read = [one for log in logs for one in log]
                assert set(books(order_id, read, RULES).entries) <= set(final), (seed, order_id, reach)


@pytest.mark.rule("N7")
def test_an_entry_names_the_movement_as_the_provider_knows_it(histories: Sequence[Played]) -> None:
    named = 0
    for seed, played in enumerate(histories):
        keys = defaultdict(set)
        for record in played.world.bus.heard:
            if (header(record.headers, "ce_type") or "") in ("payment.settled.v1", "payment.reversed.v1"):
                data = json.loads(record.value or b"{}")
                keys[data["provider_reference"]].add(data.get("payment_key"))
        for one in (one for kept in books_of(played).values() for one in kept.entries):
            if one.provider_reference in keys and one.payment_key is not None:
                assert one.payment_key in keys[one.provider_reference], (seed, one)
                named += 1
    assert named > HISTORIES
