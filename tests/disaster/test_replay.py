"""A database that is put back is replayed from the bus: its streams are what they were, event for event."""

import copy
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from random import Random
from typing import Any

import pytest

from deploy.repair.tail import said_by
from schemas.order.commands import ConfirmReceipt
from schemas.topics import SERVICES
from schemas.wire import Actor, Service
from services.composition import DECIDERS
from shared.kernel import codec
from shared.kernel.decider import Decider, Output, Refusal
from shared.kernel.policies import Policies
from shared.kernel.ports import Record
from tests.disaster.put_back import ACTS_BY_ITSELF, PutBack, played, records_at
from tests.kit.stored_events import stored_event
from tests.simulation import virtual_time
from tests.simulation.plan import Plan, draw
from tests.simulation.play import Played

SEARCHED_MAX = 60
HISTORIES = int(os.environ.get("RECOURSE_TEST_HISTORIES") or 8)
PUBLISHED_AGAIN, AGAIN = 4, "dispute.events"
BY_CAUSES = 31, 107
"""Histories in which the broker's clock goes back between what a shard says and what follows: a refund, a bell."""
LOGS_LOST = "log lost its tail", "topic made anew"
UNSENT = 19, 32, 84
"""A history in which what was committed and is nowhere on the bus ends a shard's numbers: few do."""


def planned(seed: int) -> Plan:
    """One loss at a time: of a database next to a log that is not what it was no recipe says anything."""
    plan = draw(seed)
    return replace(plan, faults=tuple(one for one in plan.faults if one.kind not in LOGS_LOST))


def number(record: Record) -> tuple[str | None, ...]:
    """By what a reader knows a message, and what it is."""
    return tuple(codec.header(record.headers, name) for name in ("ce_source", "ce_sequence", "ce_id"))


def test_a_message_is_known_by_its_id_and_its_cause_too() -> None:
    event = replace(stored_event(ConfirmReceipt(order_id="order-1", actor=Actor(role="buyer", id="b1"))), data=b"{}")
    record = Record(event.topic or "", event.partition, 0, event.time, *codec.published(event, "order"))
    said = said_by(codec.source_of("order", event.shard), [record], after=0)[1]
    assert said.is_what(event)
    for other in ({"id": "another"}, {"causation_id": "another"}, {"type": "another"}, {"data": b"[]"}, {"time": 1}):
        assert not said.is_what(replace(event, **other))
    assert said.is_what(replace(event, data=b'{"deadlines":[]}'))
    assert not said.is_what(replace(event, data=b'{"refund_minor":1}'))
    told = said_by(codec.source_of("order", event.shard), [replace(record, value=b'{"deadlines":[]}')], after=0)[1]
    assert not told.is_what(event), "what was told then is told now"
    for torn in (b"{", b"[]"):
        assert not replace(said, record=replace(record, value=torn)).is_what(event)


def parked_once(history: Played, service: str) -> set[str]:
    """Of what its code could not handle something, at some time: a person has to look at these."""
    return {order_id for of, order_id in history.world.broken if of == service}


@pytest.mark.parametrize("seed", sorted({*range(HISTORIES), *BY_CAUSES}))
def test_streams_are_what_they_were_and_nothing_is_said_anew(seed: int) -> None:
    history, snapshots = played(planned(seed))
    for service in SERVICES:
        put_back = PutBack(history, service, snapshots[service])
        known = {number(record) for record in put_back.outputs()}
        outcomes = virtual_time.run(put_back.replay(put_back.decider))
        withheld = {stream: why for one in outcomes for stream, why in one.withheld.items()}
        parked = parked_once(history, service)
        assert not withheld.keys() - parked, withheld
        assert not [one.missing for one in outcomes if one.missing]
        if not parked:
            again = virtual_time.run(put_back.go_on(put_back.decider))
            assert not {number(record) for record in again} - known, f"{service} says something anew"
            assert put_back.differences() == []


@pytest.mark.parametrize("seed", sorted({*range(HISTORIES), *UNSENT}))
def test_what_was_not_published_when_all_stopped_is_published_then(seed: int) -> None:
    """In the midst of waves: of one topic the last is not on the bus, of another what was said after it is."""
    history, snapshots = played(planned(seed))
    chance = Random(seed)
    heard = history.world.bus.heard
    end = chance.randint(min(len(heard), records_at(snapshots) + 1), len(heard))
    for service in SERVICES:
        if parked_once(history, service) or service in ACTS_BY_ITSELF:
            continue
        put_back = PutBack(history, service, copy.deepcopy(snapshots[service]))
        mine = [*takewhile(put_back.said, reversed(heard[:end]))]
        gone = chance.choice(sorted({record.topic for record in mine} or {""}))
        lost = [one for one in mine if one.topic == gone]
        left = put_back.before_it_heard(lost, [one for one in mine[::-1] if one.topic != gone])
        put_back.bus = put_back.bus_of([*heard[: end - len(mine)], *left])
        outcomes = virtual_time.run(put_back.replay(put_back.decider))
        assert not {stream: why for one in outcomes for stream, why in one.withheld.items()}
        assert not [one.missing for one in outcomes if one.missing]
        virtual_time.run(put_back.go_on(put_back.decider))
        for shard in range(put_back.bus.partitions):
            said = {number(one)[1:] for one in put_back.outputs() if number(one)[0] == put_back.source(shard)}
            assert sorted(int(one or 0) for one, _ in said) == [*range(1, len(said) + 1)], "one number, one message"


def test_what_was_published_again_is_decided_at_the_time_when_it_was_heard() -> None:
    """Its log was lost and made anew: what others said lies in it with later append times."""
    history, snapshots = played(planned(PUBLISHED_AGAIN))
    put_back = PutBack(history, "order", snapshots["order"])
    later = [replace(one, timestamp=history.world.bus.heard[-1].timestamp) for one in put_back.bus.records(AGAIN)]
    put_back.bus = put_back.bus_of([*(one for one in history.world.bus.heard if one.topic != AGAIN), *later])
    outcomes = virtual_time.run(put_back.replay(DECIDERS["order"]))
    assert any(outcome.decided for outcome in outcomes)
    assert not any(outcome.withheld or outcome.missing for outcome in outcomes)
    virtual_time.run(put_back.go_on(DECIDERS["order"]))
    assert put_back.differences() == []


@pytest.mark.parametrize("service", ["order", "dispute", "mediation"])
def test_what_an_earlier_version_said_is_known_though_it_named_no_clocks(service: Service) -> None:
    history, snapshots = played(planned(0))
    put_back = PutBack(history, service, snapshots[service])
    put_back.bus = put_back.bus_of([_without_clocks(record) for record in history.world.bus.heard])
    outcomes = virtual_time.run(put_back.replay(put_back.decider))
    decided = sum(outcome.decided for outcome in outcomes)
    assert decided
    assert not any(outcome.withheld or outcome.missing for outcome in outcomes)
    said = {number(record)[:2]: record.value for record in put_back.outputs()}
    stored = {
        (put_back.source(shard), str(row.sequence)): row.data
        for shard, kept in put_back.store.shards.items()
        for row in kept.events
        if row.sequence is not None
    }
    as_said = [place for place, data in stored.items() if data == said[place]]
    assert len(as_said) >= decided, "what is stored is what readers have"
    assert any(b'"status"' in (said[place] or b"") for place in as_said)


def _without_clocks(record: Record) -> Record:
    if not record.topic.endswith(".events") or b'"deadlines"' not in (record.value or b""):
        return record
    told = {name: value for name, value in json.loads(record.value or b"").items() if name != "deadlines"}
    return replace(record, value=json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())


def test_an_order_that_is_decided_otherwise_now_stands_alone() -> None:
    met = 0
    for seed in range(SEARCHED_MAX):
        plan = planned(seed)
        history, snapshots = played(plan)
        if len(plan.deals) < 2 or parked_once(history, "order"):
            continue
        put_back = PutBack(history, "order", snapshots["order"])
        known = {number(record) for record in put_back.outputs()}
        outcomes = virtual_time.run(put_back.replay(_otherwise(DECIDERS["order"], "o1")))
        withheld = {stream for one in outcomes for stream in one.withheld}
        assert withheld <= {"o1"}
        met += len(withheld)
        put_back.bus.append("order.commands", b"o1", b"{}", [("ce_id", b"x"), ("ce_type", b"order.cancel.v1")])
        again = virtual_time.run(put_back.go_on(DECIDERS["order"]))
        said = {number(record) for record in again if record.topic != "order.dead-letters"} - known
        assert not said or not withheld, "something new is decided of it"
        parked = {stream for shard in put_back.store.shards.values() for stream in shard.parked}
        assert parked == withheld, "whatever comes for it waits, and for no other"
        assert not [one for one in put_back.differences() if " o2:" in one]
        if met:
            return
    raise AssertionError("no history has such an order")


def _otherwise(decider: Decider[Any, Any, Any], order_id: str) -> Decider[Any, Any, Any]:
    """A rule of another opinion about one order."""

    def decide(state: Any, command: Any, now: datetime, policies: Policies) -> Sequence[Output]:
        if command.order_id == order_id:
            return [Refusal("wrong_state", "Not any more.")]
        return decider.decide(state, command, now, policies)

    return replace(decider, decide=decide)
