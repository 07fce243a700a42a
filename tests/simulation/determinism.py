"""S2, the law of time: the same commands in the same time order give the same outcome, whatever goes wrong.

It is claimed exactly as far as it is true, in two parts.

**Of every service, always** (`the_same_inputs_give_the_same_rows`). What a service handled of an order, folded once
more in one go, by a process that never died, gives the very rows that are stored: same ids, same bytes. So crashes,
repeats, doubtful commits and take-overs leave no trace. (That each input was handled once, in the order of its topic,
is `every_input_is_handled_once`. Of an order of which something was taken as it was said, after a database was put
back, nothing is folded: what brought that about is forgotten.) What is left to chance is only how topics interleave. A
bug of the law itself is the same in every run; so each input is looked at besides: before a record of its own inbox a
service lets happen what was due, the earliest first, and nothing else; no other record brings a deadline about; and a
window that a deadline opens counts from the record, however late that came (docs/RULES.md R0).

**Of the whole, where no acts cross** (`the_same_commands_give_the_same_outcome`). The people's commands alone, with the
append times that the broker gave them, are given to a world in which nothing goes wrong: every effect is there in the
same millisecond, every bell rings on time. Each order must then hear the same answers, in every service the same events
in the same order, and its money must end in the same places. Instants are left out: a window counts from the input that
opens it, so what was late opens windows late.

There is no order between topics (docs/RULES.md R0), so this cannot be claimed where acts *cross* (crossing.py says
when, from the records alone, without looking at either outcome). What depends on when the provider answers is no
outcome of people's acts: that an order is completed, and what may be said of its parcel until then. Nor is it whether a
bell came in time to remind somebody (R68).
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from deploy.payments.provider import Answer
from schemas.instants import EPOCH, to_ms
from schemas.payments.commands import PaymentCommand
from schemas.payments.events import PaymentEvent, PaymentSettled
from schemas.wire import Event, Reply, Service
from services.composition import DECIDERS
from services.refund.gateway import COMMANDS, Paid, answer
from services.timer.projection import MemoryTimerTable, Timers
from shared.kernel.codec import header
from shared.kernel.decider import Decider
from shared.kernel.ports import Input, StoredEvent
from shared.kernel.stream import Answers, OutgoingMessage, Stream, handle
from shared.runtime.memory import MemoryBus, World
from shared.runtime.partitions import partition_of
from tests.simulation import virtual_time
from tests.simulation.crossing import COMPARED, crossed
from tests.simulation.known import at
from tests.simulation.plan import RULES
from tests.simulation.play import Played

FOLDED: tuple[Service, ...] = ("order", "dispute", "mediation", "refund", "notification")
NO_OUTCOME = frozenset(
    {
        "timer.schedule.v1", "alarm.rung.v1", "mediation.seat.v1", "order.completed.v1", "order.refund_completed.v1",
        "order.tracking_corrected.v1", "order.correct_tracking.v1", "dispute.parties_noted.v1",
        *(f"{service}.reminded.v1" for service in ("order", "dispute", "mediation")), "dispute.reminder_lapsed.v1",
        "order.processing_reminder_lapsed.v1", "mediation.answer_reminder_lapsed.v1",
    }
)  # fmt: skip
HIDDEN = ("dispute.open_refused.v1", "order.freeze_refused.v1")
"""Refusals of a claim, if they name whom they are for."""
Outcome = dict[str, list[tuple[str, str, Any]]]


def the_same_inputs_give_the_same_rows(played: Played) -> Iterator[str]:
    for service in FOLDED:
        group = played.world.groups[service]
        stored: dict[tuple[int, str], list[StoredEvent]] = {}
        for shard in range(played.world.bus.partitions):
            for row in group.rows(shard):
                if row.stream_id is not None:
                    stored.setdefault((shard, row.stream_id), []).append(row)
        for (shard, order_id), inputs in group.handled.items():
            if (shard, order_id) in group.taken:
                continue
            stream: Stream[Any] = Stream(order_id)
            answers: Answers = {}
            again: list[tuple[str, str, bytes | None, int]] = []
            latest = EPOCH
            for found, _ in inputs:
                before = stream.state
                said = handle(group.rules, stream, found, RULES, answers)
                wrong = [*_unlawful(group.rules, before, found, said)]
                if found.own and found.time < latest:
                    wrong.append(f"after one at {latest}")
                for sentence in wrong:
                    yield f"{service} of {order_id}: {found.type} {found.id} at {found.time}: {sentence}"
                latest = max(latest, found.time) if found.own else latest
                ms = to_ms(found.time)
                again += [(one.message.type, one.id, one.message.model_dump_json().encode(), ms) for one in said]
            rows = stored.get((shard, order_id), [])
            there = [(row.type, row.id or "", row.data, row.time) for row in rows]
            if again != there:
                differs = next(
                    (pair for pair in zip(again, there, strict=False) if pair[0] != pair[1]), "one is longer"
                )
                yield f"{service} of {order_id}: {differs}, folded again and as stored"


def _unlawful(
    decider: Decider[Any, Any, Any], state: Any, found: Input, said: Sequence[OutgoingMessage]
) -> Iterator[str]:
    """`state`: before the input; `said`: all that came of it."""
    due = _due(decider, state)
    for cause, ones in groupby(said, key=lambda one: one.causation_id):
        if cause == found.id:
            break
        if not found.own or not due.get(cause, found.time) < found.time or due[cause] > min(due.values()):
            yield f"{cause} strikes, due {due.get(cause)}, of {due}"
        for one in ones:
            if isinstance(one.message, Event) and not isinstance(one.message, Reply):
                state = decider.evolve(state, one.message)
        before, due = due, _due(decider, state)
        if early := [f"{name} at {at}" for name, at in due.items() if before.get(name) != at and at < found.time]:
            yield f"{cause} opens windows that are over: {early}"
    if found.own and (left := [f"{name} at {at}" for name, at in due.items() if at < found.time]):
        yield f"overdue, and does not strike: {left}"


def _due(decider: Decider[Any, Any, Any], state: Any) -> dict[str, datetime]:
    """By the name it has as a cause."""
    return {f"{decider.service}/{one.subject}/{one.name}": one.due_at for one in decider.deadlines(state)}


def the_same_commands_give_the_same_outcome(played: Played) -> Iterator[str]:
    compared = [order_id for order_id in played.orders if not crossed(played, order_id)]
    if not compared:
        return
    undisturbed = virtual_time.run(_fault_free(played))
    for order_id in compared:
        ours, theirs = _outcome_of(played, order_id), _outcome(undisturbed, order_id)
        for service in ours:
            if ours[service] != theirs[service]:
                pairs = zip(ours[service], theirs[service], strict=False)
                differs = next((pair for pair in pairs if pair[0] != pair[1]), "one is longer")
                yield f"{service} of {order_id}: {differs}, here and where nothing went wrong"


# -- where nothing goes wrong ------------------------------------------------------------------------------------------


class _Prompt:
    """A payment service that does what it is told, at once."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self._read: dict[int, int] = {}
        self._paid: dict[str, Paid] = {}

    def act(self) -> bool:
        acted = False
        for partition in range(self.bus.partitions):
            calls = self.bus.logs[PaymentCommand.topic, partition]
            for call in calls[self._read.get(partition, 0) :]:
                acted = True
                command = COMMANDS[header(call.headers, "ce_type") or ""].read(call.value or b"")
                said = answer(self._paid.get(command.payment_key), command)
                if isinstance(said, PaymentSettled):
                    self._paid.setdefault(
                        command.payment_key, Paid(said.currency, said.amount_minor, said.provider_reference)
                    )
                self._say(Answer(said, header(call.headers, "ce_id") or ""))
            self._read[partition] = len(calls)
        return acted

    def _say(self, said: Answer) -> None:
        headers = [("ce_id", f"{said.call_id}/answer".encode()), ("ce_type", said.said.type.encode())]
        value = said.said.model_dump_json().encode()
        self.bus.append(PaymentEvent.topic, said.said.order_id.encode(), value, headers)

    def next_due(self) -> datetime | None:
        return None


async def _fault_free(played: Played) -> World:
    world = World(RULES, played.plan.partitions)
    for service in ("order", "dispute", "mediation", "refund"):
        await world.add(DECIDERS[service])
    timers = Timers(MemoryTimerTable())
    await world.add(DECIDERS["timer"], [timers], [timers])
    world.external_systems.append(_Prompt(world.bus))
    for command in played.commands:
        if command.topic != "refund.commands":
            await world.wait(max(at(command.timestamp) - world.bus.now, timedelta(0)))
            world.bus.append(command.topic, command.key, command.value, command.headers, command.partition)
            await world.settle()
    await world.wait(max(played.world.bus.clock() - world.bus.now, timedelta(0)))
    return world


# -- what is compared --------------------------------------------------------------------------------------------------


def _outcome_of(played: Played, order_id: str) -> Outcome:
    shard = partition_of(order_id.encode(), played.plan.partitions)
    return {service: _said(played.world.groups[service].rows(shard), order_id) for service in COMPARED}


def _outcome(world: World, order_id: str) -> Outcome:
    shard = partition_of(order_id.encode(), world.bus.partitions)
    return {service: _said(world.stores[service].shards[shard].events, order_id) for service in COMPARED}


def _said(rows: list[StoredEvent], order_id: str) -> list[tuple[str, str, Any]]:
    """(type, cause, content) of each event in order, the cause by name where it is a command or a deadline; then what
    was refused, and why. Refusals change nothing, so where they stand among the events says nothing. A stranger's
    claim changes nothing either: whichever service heard first whose order it is refuses it (R77)."""
    events, refusals = [], []
    strangers = {
        data.get("command_id")
        for row in rows
        if row.type in HIDDEN and (data := json.loads(row.data or b"{}")).get("visible_to")
    }
    for row in rows:
        if row.stream_id != order_id or row.type in NO_OUTCOME or row.type.endswith((".resumed.v1", ".repeated.v1")):
            continue
        data = _timeless(json.loads(row.data or b"{}"))
        cause = row.causation_id or ""
        if (row.type in HIDDEN and data.get("visible_to")) or (
            row.type == "dispute.requested.v1" and data.get("command_id") in strangers
        ):
            continue
        if "refused" in data:
            if (data["refused"], data["code"]) == ("dispute.open.v1", "not_allowed"):
                continue
            if data["refused"] not in NO_OUTCOME and not data["refused"].endswith(".resume.v1"):
                refusals.append((row.type, cause, data["code"]))
            continue
        if row.type.startswith("order."):
            data.pop("status", None)
        events.append((row.type, cause if "/" in cause or (cause[:1] == "c" and len(cause) < 8) else "", data))
    return [*events, *sorted(refusals)]


def _timeless(value: Any) -> Any:
    match value:
        case dict():
            return {name: _timeless(part) for name, part in value.items()}
        case list():
            return [_timeless(part) for part in value]
        case str() if len(value) == 24 and value[4] == "-" and value.endswith("Z"):
            return "an instant"
    return value
