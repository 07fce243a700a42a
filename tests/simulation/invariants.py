"""What must hold of every history, whatever went wrong in it. Each check says what is wrong, in sentences.

M1 captured = held + disputed + released + refunded, after every event of an order
M2 nothing leaves twice
M3 the books: entries come from events, once each, and always balance
M4 the provider's movements are the ledger's
S1 every command has exactly one answer
S3 nobody is stranded: what can still change by time has an alarm, what waits for a person is in a queue
S4 sequences have no gaps and what is published keeps its order
D1 what is final stays so (of the quarrel: dispute_invariants.py)
D2 nobody sees what he may not, and everybody acts for himself (dispute_invariants.py)
E1 a letter goes out at most once per key in effect, and a payment is asked for under one key (calls.py)
S2 is law_of_time.py
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from deploy.verify.purse import Purse
from schemas.topics import SERVICES
from schemas.wire import Message, Service
from services.refund.ledger import entry
from shared.kernel.codec import header, published
from shared.kernel.ports import StoredEvent
from shared.kernel.stream import EARLY_WAKE_UP_DELAY, Stream
from tests.simulation import calls, dispute_invariants
from tests.simulation.visibility import unseen

if TYPE_CHECKING:
    from tests.simulation.group import Group
    from tests.simulation.known import Order
    from tests.simulation.play import Played
    from tests.simulation.world import World

STREAMS: tuple[Service, ...] = ("order", "dispute", "mediation", "refund", "notification")


def problems(played: "Played") -> list[str]:
    return [
        *played.world.findings,
        *(f"{check.__name__}: {wrong}" for check in CHECKS for wrong in check(played)),
    ]


def captured_is_where_it_should_be(played: "Played") -> Iterator[str]:
    """M1, and D1 of the lines."""
    purses: dict[str, Purse] = {}
    for row in played.rows("order"):
        if row.type.startswith("order.") and row.stream_id is not None and row.data is not None:
            purse = purses.setdefault(row.stream_id, Purse())
            for wrong in purse.hears(row.type, json.loads(row.data)):
                yield f"{row.stream_id}, {row.type} at position {row.position}: {wrong}"
    for order_id, minor in played.captured.items():
        purse = purses.get(order_id, Purse())
        if purse.captured != minor:
            yield f"{order_id} captured {purse.captured}, paid were {minor}"


def the_books_balance(played: "Played") -> Iterator[str]:
    """M3, and with the provider's own word M2 and M4."""
    ledger = played.world.ledger
    made = {
        row.id or "": found
        for row in played.rows("refund")
        if row.type in ("refund.captured.v1", "refund.settled.v1", "refund.paid_out.v1", "refund.charged_back.v1")
        and (found := entry(Message.MODELS[row.type].read(row.data or b""))) is not None
    }
    if {id_: booked.entry for id_, booked in ledger.items()} != made:
        yield f"the ledger is {sorted(ledger)}, by the events it should be {sorted(made)}"
    balance: Counter[tuple[str, str]] = Counter()
    for booked in ledger.values():
        if booked.entry.amount_minor <= 0:
            yield f"entry {booked.id} moves {booked.entry.amount_minor}"
        balance[booked.order_id, booked.entry.from_account.partition(":")[0]] -= booked.entry.amount_minor
        balance[booked.order_id, booked.entry.to_account.partition(":")[0]] += booked.entry.amount_minor
    moved = _moved(played)
    for order_id, minor in played.captured.items():
        if sum(balance[order_id, side] for side in ("buyer", "escrow", "seller")) != 0:
            yield f"the books of {order_id} do not sum to zero"
        to_buyer, to_seller = balance[order_id, "buyer"] + minor, balance[order_id, "seller"]
        if (to_buyer, to_seller) != (moved[order_id, "buyer"], moved[order_id, "seller"]):
            yield (
                f"{order_id}: by the ledger the buyer got {to_buyer}, the seller {to_seller}; really moved were"
                f" {moved[order_id, 'buyer']} and {moved[order_id, 'seller']}"
            )
        if moved[order_id, "buyer"] + moved[order_id, "seller"] != minor:
            yield f"{order_id}: {minor} captured, moved {moved[order_id, 'buyer']} and {moved[order_id, 'seller']}"


def _moved(played: "Played") -> Counter[tuple[str, str]]:
    """(order, side) -> what the provider moved, and what an operator paid by hand."""
    moved: Counter[tuple[str, str]] = Counter()
    movements = [(said.order_id, said.payment_key, said.amount_minor) for said in played.provider.moved]
    for row in played.rows("refund"):
        if row.data is not None and b'"by hand ' in row.data and row.stream_id is not None:
            data = json.loads(row.data)
            if data.get("provider_reference", "").startswith("by hand "):
                key = f"{data['settlement_id']}/{data['leg']}"
                movements.append((row.stream_id, key, calls.amount_of(data)))
    for order_id, key, minor in movements:
        leg = key.rpartition("/")[2]
        moved[order_id, "buyer" if leg == "refund" else "seller"] += -minor if leg == "chargeback" else minor
    return moved


def an_order_is_completed_when_all_is_paid(played: "Played") -> Iterator[str]:
    """M1 of the end: nothing is on its way back to the buyer any more, and it is said once."""
    completed: set[str | None] = set()
    refunding: dict[str | None, set[str]] = defaultdict(set)
    for row, data in played.told("order"):
        match row.type:
            case "order.settled.v1" if data["refund_minor"]:
                refunding[row.stream_id].add(data["settlement_id"])
            case "order.refund_completed.v1":
                refunding[row.stream_id].discard(data["settlement_id"])
            case "order.completed.v1":
                if left := refunding[row.stream_id]:
                    yield f"{row.stream_id} is completed while {left} is being refunded"
                if row.stream_id in completed:
                    yield f"{row.stream_id} is completed again"
                completed.add(row.stream_id)
        if data.get("status", "completed") != "completed":
            completed.discard(row.stream_id)


def nothing_leaves_twice(played: "Played") -> Iterator[str]:
    """M2: no key is moved twice, and of no order has more left than was captured."""
    left: Counter[str] = Counter()
    keys = Counter(said.payment_key for said in played.provider.moved)
    yield from (f"{key} was moved {times} times" for key, times in keys.items() if times > 1)
    for said in played.provider.moved:
        if not said.payment_key.endswith("/chargeback"):
            left[said.order_id] += said.amount_minor
        else:
            left[said.order_id] -= said.amount_minor
    # A refund of released money may leave before the charge-back fills the escrow again (R7): so at the end.
    for order_id, minor in left.items():
        if minor > played.captured[order_id]:
            yield f"{order_id}: {minor} left, {played.captured[order_id]} came in"


def every_command_has_one_answer(played: "Played") -> Iterator[str]:
    """S1. The same id with another body is another command: it has its own answer, a refusal."""
    for service in STREAMS:
        group = played.world.groups[service]
        answers: Counter[tuple[str | None, str, bytes]] = Counter()
        for row in played.rows(service):
            if row.command_id is not None and row.digest is not None:
                answers[row.stream_id, row.command_id, row.digest] += 1
        given = {
            (found.stream_id, found.id, found.digest): None
            for inputs in group.handled.values()
            for found, _ in inputs
            if found.digest is not None and found.type.startswith(f"{service}.")
        }
        yield from (f"{service}: {key[1]} of {key[0]} was answered {n} times" for key, n in answers.items() if n > 1)
        yield from (f"{service}: {key[1]} of {key[0]} was never answered" for key in given if key not in answers)


def every_input_is_handled_once(played: "Played") -> Iterator[str]:
    """S1 and S4, from the other side: what a service handled of an order is what lies in its topics, each record once,
    in the order of each topic."""
    for service in STREAMS:
        group = played.world.groups[service]
        for (shard, order_id), lying in _lying(group).items():
            for topic, ids in lying.items():
                handled = [found.id for found, _ in group.handled[shard, order_id] if _topic(found, service) == topic]
                if handled != ids:
                    yield f"{service} handled of {order_id} from {topic}: {handled}, there lies {ids}"


def _topic(found: Any, service: Service) -> str:
    if found.own or (found.digest is not None and found.type.startswith(f"{service}.")):
        return f"{service}.commands"
    return str(getattr(found.payload, "topic", ""))


def _lying(group: "Group") -> dict[tuple[int, str], dict[str, list[str]]]:
    """(shard, order) -> topic -> ids of what is for this service, repeats of our own publications left out."""
    lying: dict[tuple[int, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    heard = {(model.topic, model.type) for model in group.decider.subscriptions}
    for topic in group.topics:
        for shard in range(group.world.bus.partitions):
            highest: Counter[str] = Counter()
            for record in group.world.bus.logs.get((topic, shard), ()):
                headers = dict(record.headers)
                type_ = (headers["ce_type"] or b"").decode()
                if topic != f"{group.service}.commands" and (topic, type_) not in heard:
                    continue
                source = (headers["ce_source"] or b"").decode()
                if topic.endswith(".events") and topic != "payments.events":
                    sequence = int(headers["ce_sequence"] or b"0")
                    if sequence <= highest[source]:
                        continue
                    highest[source] = sequence
                lying[shard, (record.key or b"").decode()][topic].append((headers["ce_id"] or b"").decode())
    return lying


def what_is_said_is_said_in_order(played: "Played") -> Iterator[str]:
    """S4: positions and sequences have no gaps; what was committed is on the bus, firsts in order, repeats exact."""
    for service in SERVICES:
        for shard in range(played.world.bus.partitions):
            rows = played.world.groups[service].rows(shard)
            public = [row for row in rows if row.topic is not None]
            if [row.position for row in rows] != list(range(1, len(rows) + 1)):
                yield f"{service}/{shard}: positions {[row.position for row in rows]}"
            if [row.sequence for row in public] != list(range(1, len(public) + 1)):
                yield f"{service}/{shard}: sequences {[row.sequence for row in public]}"
            yield from _on_the_bus(played, service, shard, public)


def an_id_names_one_event(played: "Played") -> Iterator[str]:
    """S4: whoever keeps ids to know repeats loses nothing by it."""
    for service in SERVICES:
        ids = Counter(row.id for row in played.rows(service) if row.stream_id is not None)
        yield from (f"{service} said {times} things under the id {id_}" for id_, times in ids.items() if times > 1)


def an_order_tells_one_story(played: "Played") -> Iterator[str]:
    """Whatever a service says of an order belongs to the story of the command with which it began there."""
    for service in STREAMS:
        stories: dict[str, str | None] = {}
        for row in played.rows(service):
            if row.stream_id is not None and row.topic is not None:
                first = stories.setdefault(row.stream_id, row.correlation_id)
                if first != row.correlation_id:
                    yield f"{service} of {row.stream_id}: {row.type} belongs to {row.correlation_id}, not to {first}"


def _on_the_bus(played: "Played", service: Service, shard: int, public: list[StoredEvent]) -> Iterator[str]:
    source = f"recourse/{service}/{shard}".encode()
    places = {(row.topic or "", row.partition) for row in public}
    for topic, partition in places:
        kind = "x-dead-letter-" if topic.endswith(".dead-letters") else "ce_"
        firsts: dict[int, tuple[bytes | None, tuple[Any, ...]]] = {}
        for record in played.world.bus.logs[topic, partition]:
            headers = dict(record.headers)
            if headers.get(f"{kind}source") != source:
                continue
            sequence = int(headers[f"{kind}sequence"] or b"0")
            content = record.value, tuple(record.headers)
            if not firsts or sequence > max(firsts):
                firsts[sequence] = content
            elif sequence not in firsts:
                yield f"{topic}/{partition}: {sequence} of {source.decode()} after {max(firsts)}"
            elif firsts[sequence] != content:
                yield f"{topic}/{partition}: {sequence} of {source.decode()} is there with two contents"
        stored = {
            row.sequence: (row.data, tuple(published(row, service)[2]))
            for row in public
            if (row.topic, row.partition) == (topic, partition)
        }
        if stored != firsts:
            yield f"{topic}/{partition}: {source.decode()} stored {sorted(map(str, stored))}, sent {sorted(firsts)}"


def nothing_was_set_aside(played: "Played") -> Iterator[str]:
    """But for what the code could not handle for a while, as planned."""
    for (topic, _), log in played.world.bus.logs.items():
        if topic.endswith(".dead-letters"):
            reasons = [header(record.headers, "x-dead-letter-reason") or "" for record in log]
            yield from (f"a dead letter: {one}" for one in reasons if not one.startswith("parked: BrokenRule"))


def letters_are_sent_once(played: "Played") -> Iterator[str]:
    """E1: a letter that went out again was the very same, nobody has two letters of one event, and what is said to be
    sent was sent, once."""
    group = played.world.groups["notification"]
    events = Counter((found.stream_id, found.type, found.time) for some in group.handled.values() for found, _ in some)
    taken: dict[str, Any] = {}
    for letter in played.world.mails:
        if taken.setdefault(letter.delivery_id, letter) != letter:
            yield f"two letters are called {letter.delivery_id}"
    told = Counter((one.order_id, one.event_type, one.event_at, one.recipient.id) for one in taken.values())
    for (order_id, type_, at, person), times in told.items():
        if times > events[order_id, type_, at]:
            yield f"{person} was told {times} times of {type_} at {at}"
    said: Counter[str] = Counter()
    for row in played.rows("notification"):
        if row.type == "notification.sent.v1" and b'"email"' in (row.data or b""):
            said[json.loads(row.data or b"{}")["delivery_id"]] += 1
    yield from (f"letter {id_} is said to be sent and was not" for id_ in said.keys() - taken.keys())
    for id_, letter in taken.items():
        if said[id_] > 1:
            yield f"letter {id_} of {letter.event_type} is said to be sent {said[id_]} times"
    yield from (f"letter {id_} was sent and nothing says so" for id_ in taken.keys() - said.keys())


def nobody_sees_what_he_may_not(played: "Played") -> Iterator[str]:
    """D2."""
    yield from unseen(played)


def nobody_is_stranded(world: "World", orders: Iterable["Order"]) -> Iterator[str]:
    """S3, at any quiet moment: each state that changes by time has an alarm for it, and the timer service holds it;
    and an order that has not ended has such a state, or is in the operator's queue."""
    waiting: set[str] = set().union(*(group.parked() for group in world.groups.values()))
    parked = frozenset(waiting)
    unseen: set[str] = set()
    for service in STREAMS:
        group = world.groups[service]
        for order_id, shard, stream in _streams(group):
            if order_id in parked:
                continue
            if stream is None:
                unseen.add(order_id)
            elif (due := group.decider.earliest(stream.state)) is not None:
                waiting.add(order_id)
                if stream.alarm is None or stream.alarm > due.due_at + EARLY_WAKE_UP_DELAY:
                    yield f"{service} holds {due.name} of {order_id} for {due.due_at}, its alarm is {stream.alarm}"
                elif not world.groups["timer"].holds_alarm(shard, f"{service}/{order_id}"):
                    yield f"{service} holds {due.name} of {order_id}, and the timer service knows of no alarm"
    for order in orders:
        if order.people and order.status not in ("completed", "cancelled") and order.id not in waiting | unseen:
            yield f"{order.id} is {order.status}, and nothing will ever happen to it"


def _streams(group: "Group") -> Iterator[tuple[str, int, Stream[Any] | None]]:
    """(order, shard, its stream as its owner holds it); None where that is not in memory."""
    for number, stored in group.shards.items():
        held = [process.loop.shards[number] for process in group.living() if number in process.loop.shards]
        owners = [shard for shard in held if shard.claim.epoch == stored.claim.epoch]
        streams: Mapping[str, Stream[Any]] = owners[0].streams if owners else {}
        for order_id in {row.stream_id: None for row in stored.events if row.stream_id is not None}:
            yield order_id, number, streams.get(order_id)


CHECKS: tuple[Callable[["Played"], Iterator[str]], ...] = (
    captured_is_where_it_should_be,
    the_books_balance,
    an_order_is_completed_when_all_is_paid,
    nothing_leaves_twice,
    every_command_has_one_answer,
    every_input_is_handled_once,
    what_is_said_is_said_in_order,
    an_id_names_one_event,
    an_order_tells_one_story,
    nothing_was_set_aside,
    *dispute_invariants.CHECKS,
    letters_are_sent_once,
    *calls.CHECKS,
    nobody_sees_what_he_may_not,
)
