"""How the case file remembers: outsiders' records in either form, and a roster that grows by the thousands."""

import json
from collections.abc import Iterator
from time import process_time

from schemas.instants import from_ms
from schemas.wire import MEDIATORS_KEY
from services.casefile.foresight.kept_roster import KEPT_EVERY, KeptRoster
from services.casefile.foresight.oracle import JUDGES
from services.casefile.foresight.remembered import Remembered, in_order
from services.casefile.shown.reading import Found
from services.casefile.shown.shapes import AsOf
from services.casefile.shown.told import told
from shared.kernel.ports import Record
from shared.rules import policies

POLICIES = policies.load()
ROUNDS = 10_000
BEGAN = 1_772_000_000_000


def seats(rounds: int) -> Iterator[Record]:
    """So many rounds that look for a mediator, and nobody is there."""
    for number in range(rounds):
        said = {
            "order_id": f"o{number}",
            "actor": {"role": "platform", "id": "mediation"},
            "dispute_id": "d1",
            "round": 1,
            "mediator_id": None,
            "wanted": True,
            "except": [],
        }
        headers = [("ce_specversion", b"1.0"), ("ce_id", b"s%d" % number), ("ce_type", b"mediation.seat.v1")]
        value = json.dumps(said).encode()
        yield Record("mediation.roster", 0, number, BEGAN + number, MEDIATORS_KEY.encode(), value, headers)


def waiting(known: Remembered) -> int:
    state = known.stream.state
    assert state is not None
    return len(state.waiting)


def test_a_long_roster_is_read_once() -> None:
    records, kept = [*seats(ROUNDS)], KeptRoster(JUDGES["mediation"], MEDIATORS_KEY)
    earlier = ROUNDS - KEPT_EVERY // 2
    began = process_time()
    assert waiting(kept.of(records[:-1], POLICIES)) == ROUNDS - 1
    whole = process_time() - began

    began = process_time()
    for _ in range(10):
        assert waiting(kept.of(records, POLICIES)) == ROUNDS
    took = (process_time() - began) / 10

    assert took < whole / 20, "only what came since is read"
    assert waiting(kept.of(records[:earlier], POLICIES)) == earlier, "what came later left no trace"
    other = KeptRoster(JUDGES["mediation"], MEDIATORS_KEY).of(records[:100], POLICIES)
    assert other.stream.state == kept.of(records[:100], POLICIES).stream.state


def payment(offset: int, id_: str, structured: bool = False) -> Record:
    said = {"order_id": "o1", "payment_id": "p1", "currency": "EUR", "amount_minor": 1_000}
    if structured:
        envelope = {"specversion": "1.0", "id": id_, "type": "payment.captured.v1", "source": "psp", "data": said}
        headers = [("content-type", b"application/cloudevents+json")]
        return Record("payments.events", 0, offset, BEGAN + offset, b"o1", json.dumps(envelope).encode(), headers)
    named = [("ce_specversion", b"1.0"), ("ce_id", id_.encode()), ("ce_type", b"payment.captured.v1")]
    return Record("payments.events", 0, offset, BEGAN + offset, b"o1", json.dumps(said).encode(), named)


def test_what_outsiders_write_is_told_apart_by_its_place_and_read_in_either_form() -> None:
    """Theirs are no ids of ours: two records under one id may both count, and one within its value has none outside."""
    written = [payment(0, "a"), payment(1, "a"), payment(2, "b", structured=True), payment(3, "c", structured=True)]

    ordered = in_order(written)

    assert ordered == written
    nobody = AsOf(at=from_ms(BEGAN), records={}, behind_seconds=0.0)
    assert [one.id for one in told(Found("o1", ordered, (), (), nobody))] == ["a", "a", "b", "c"]
