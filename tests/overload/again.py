"""As if there had been no overload: the very commands, at the append times the broker gave them, given to the system in
memory, where every effect is there in the same millisecond. What must then be equal is what the law of time says
(docs/RULES.md R0):

* **All that was said of an order whose commands all went to the order service**: every event and refusal, byte by byte.
  That service judges by its own inbox, one log with one clock, and nothing it hears of such an order changes anything.
* **How an order ended that had a dispute before the overload and whose commands then all went to the dispute service**:
  the order's status, and what buyer and seller got. The events in between are not compared, for there is no order
  between topics: a reminder of the order may come before or after the end of its dispute.

Nothing is claimed of an order whose commands went to two services at once, nor where a command was appended between the
instant of a deadline here and there: a window counts from the input that opens it, and how long that took to come is
the only thing that differs.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from deploy.memory import MemoryPaymentService
from schemas.instants import from_ms
from services.composition import compose
from shared.kernel.codec import header
from shared.kernel.ports import Record
from shared.rules import policies
from shared.runtime.memory import World
from tests.overload.mix import HURRIED, ORDERS, WAYS, way_of
from tests.support.believing import folder_of

COMMANDS = (ORDERS, "dispute.commands")
EVENTS = ("order.events", "dispute.events", "refund.events")
INSTANTS = ("seller_answer_by", "escalates_at")
PARTITIONS = 3


class OutgoingMessage(NamedTuple):
    topic: str
    id: str
    type: str
    value: bytes
    cause: str
    at: int
    """Append time, ms."""


class Ending(NamedTuple):
    status: str
    buyer_minor: int
    seller_minor: int


@dataclass
class Heard:
    """What lies in the topics of some orders: the people's commands, and what was said to them, each once."""

    commands: list[Record] = field(default_factory=list)
    said: defaultdict[str, dict[str, OutgoingMessage]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, record: Record) -> None:
        order_id = (record.key or b"").decode()
        type_, cause = header(record.headers, "ce_type") or "", header(record.headers, "ce_causationid") or ""
        if record.topic in COMMANDS:
            if type_ != "timer.elapsed.v1":
                self.commands.append(record)
        elif record.topic in EVENTS:
            id_ = header(record.headers, "ce_id") or ""
            said = OutgoingMessage(record.topic, id_, type_, record.value or b"", cause, record.timestamp)
            self.said[order_id].setdefault(id_, said)

    def of_order(self, order_id: str) -> list[tuple[str, str, bytes]]:
        """What for, and what; ids come from the record that brought a deadline about, and here others did."""
        said = [one for one in self.said[order_id].values() if one.topic == "order.events"]
        return [(one.cause, one.type, one.value) for one in said]

    def ending(self, order_id: str) -> Ending:
        status, buyer, seller = "", 0, 0
        for one in self.said[order_id].values():
            data = json.loads(one.value)
            match one.type:
                case "refund.settled.v1":
                    buyer += data["refund_minor"]
                case "refund.paid_out.v1":
                    seller += data["amount_minor"]
                case "refund.charged_back.v1":
                    seller -= data["amount_minor"]
                case _ if one.topic == "order.events" and "command_id" not in data:
                    status = data["status"]
        return Ending(status, buyer, seller)

    def instants(self, order_id: str) -> list[datetime]:
        """At which its dispute changes if nobody acts."""
        opened = [one for one in self.said[order_id].values() if one.type == "dispute.opened.v1"]
        return [datetime.fromisoformat(json.loads(one.value)[name]) for one in opened for name in INSTANTS]


async def played(commands: Sequence[Record], until: datetime) -> Heard:
    """The same at the same times, where nothing takes time."""
    inputs = sorted(commands, key=lambda record: (record.timestamp, record.topic, record.partition, record.offset))
    with TemporaryDirectory() as folder:
        folder_of(Path(folder))
        world = World(policies.load(Path(folder), policies.load()), PARTITIONS, _at(inputs[0].timestamp))
    await compose(world)
    world.external_systems.append(MemoryPaymentService(world.bus))
    for record in inputs:
        at = _at(record.timestamp)
        if at > world.bus.now:
            await world.wait(at - world.bus.now)
        world.bus.append(record.topic, record.key, record.value, record.headers)
    await world.wait(max(until - world.bus.now, timedelta(0)))
    heard = Heard()
    for topic in EVENTS:
        for record in world.bus.records(topic):
            heard.take(record)
    return heard


def _at(ms: int) -> datetime:
    return from_ms(ms)


@dataclass
class Compared:
    """By way."""

    equal: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    left_out: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    problems: list[str] = field(default_factory=list)


def compared(here: Heard, there: Heard, commands: Sequence[Record]) -> Compared:
    """`commands`: those that both had."""
    found = Compared()
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for record in commands:
        times[(record.key or b"").decode()].append(_at(record.timestamp))
    for order_id, given in times.items():
        way = way_of(order_id)
        if not WAYS[way].before:
            ours, theirs = here.of_order(order_id), there.of_order(order_id)
            if ours != theirs:
                differ = next(pair for pair in zip_longest(ours, theirs) if pair[0] != pair[1])
                found.problems.append(f"{order_id}: {differ[0]}, and without overload {differ[1]}")
                continue
        elif _between(given, here.instants(order_id), there.instants(order_id)):
            found.left_out[way] += 1
            continue
        if here.ending(order_id) != there.ending(order_id):
            found.problems.append(f"{order_id}: {here.ending(order_id)}, and without overload {there.ending(order_id)}")
        else:
            found.equal[way] += 1
    return found


def _between(given: Sequence[datetime], ours: Sequence[datetime], theirs: Sequence[datetime]) -> bool:
    return any(min(pair) <= at <= max(pair) for pair in zip(ours, theirs, strict=False) for at in given)


# -- the deadline to ship, judged from the records alone ---------------------------------------------------------------


@dataclass
class InTime:
    """Orders that must be shipped within a window: what was said to them, by when it was appended."""

    obeyed: int = 0
    obeyed_late: int = 0
    """Of those: handled when the deadline had long passed."""
    refused: int = 0
    problems: list[str] = field(default_factory=list)


def judged(here: Heard, window: timedelta) -> InTime:
    found = InTime()
    placed: dict[str, int] = {}
    for record in here.commands:
        order_id, type_ = (record.key or b"").decode(), header(record.headers, "ce_type")
        if WAYS[way_of(order_id)].policy != HURRIED:
            continue
        if type_ == "order.place.v1":
            placed[order_id] = record.timestamp
        elif type_ == "order.ship.v1":
            _judge(here, record, placed[order_id] + window // timedelta(milliseconds=1), found)
    return found


def _judge(here: Heard, ship: Record, ends_at: int, found: InTime) -> None:
    order_id, id_ = (ship.key or b"").decode(), header(ship.headers, "ce_id")
    answer = next((one for one in here.said[order_id].values() if one.cause == id_), None)
    if answer is None or (answer.type == "order.shipped.v1") != (ship.timestamp <= ends_at):
        said = "nothing" if answer is None else f"{answer.type} {answer.value.decode()}"
        found.problems.append(f"{order_id}: shipped {ship.timestamp - ends_at} ms after the deadline, answered {said}")
    elif ship.timestamp > ends_at:
        found.refused += 1
    else:
        found.obeyed += 1
        found.obeyed_late += answer.at > ends_at
