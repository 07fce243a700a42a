"""What must hold of every history, whatever went wrong in it. Each check says what is wrong, in sentences.

What can be told from topics, ledger and pending alarms alone is the verifier's (deploy/verify/checks): it looks at
every history, half-way as well as at its end. Here is what it cannot know: what the provider really moved, what lies in
the mailbox, and what processes and databases hold that they do not tell.

M2 and M4 the provider's own book is the ledger
S1 what was handled is what lies in the topics, once
S3 at every quiet moment what can still change by time has an alarm for it, early enough
S4 what was committed is on the bus
D2 nobody is shown what he may not see
E1 a letter goes out once in effect; E2 and E3 are the verifier's
S2 is determinism.py
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from deploy.verify.checks import letters
from deploy.verify.checks.movements import DONE, IN_PART, key_of, leg_of
from deploy.verify.checks.rights import NEVER_FOR_SELLERS
from schemas.timer.events import Elapsed
from schemas.topics import SERVICES
from schemas.visibility import Viewer, may_see, view
from schemas.wire import Event, Message, Rejected, Repeated, Service
from services.composition import DECIDERS
from shared.kernel.codec import header, published
from shared.kernel.stream import EARLY_WAKE_UP_DELAY, Stream
from tests.simulation.observed import alarms_observed

if TYPE_CHECKING:
    from tests.simulation.group import Group
    from tests.simulation.play import Played
    from tests.simulation.world import World

STREAMS: tuple[Service, ...] = ("order", "dispute", "mediation", "refund", "notification")
LOOK_AFTER = 60
"""So many records after the last look the verifier looks again, at the next quiet moment."""


def problems(played: "Played") -> list[str]:
    report = played.world.observed.verified()
    left = {
        excuse: +promises for excuse, promises in report.excused.items() if excuse in ("in flight", "parked for a fix")
    }
    return [
        *played.world.findings,
        *report.problems(),
        *(f"{excuse} at the end: {dict(promises)}" for excuse, promises in left.items() if promises),
        *(f"{check.__name__}: {wrong}" for check in CHECKS for wrong in check(played)),
    ]


def at_rest(world: "World") -> Iterator[str]:
    """What is wrong at a quiet moment; nothing new if nothing was said since the last."""
    observed, said = world.observed, len(world.bus.heard)
    if observed.rested_at < said:
        observed.rested_at = said
        yield from nobody_is_stranded(world)
    if said - len(observed.seen) >= LOOK_AFTER:
        yield from observed.verified().problems()


def the_provider_moved_what_is_booked(played: "Played") -> Iterator[str]:
    """M2 and M4, by its own book, and by what an operator paid by hand; and all that was paid has gone somewhere."""
    booked: Counter[tuple[str, str]] = Counter()
    for one in played.world.ledger.values():
        booked[one.order_id, one.entry.from_account.partition(":")[0]] -= one.entry.amount_minor
        booked[one.order_id, one.entry.to_account.partition(":")[0]] += one.entry.amount_minor
    moved: Counter[tuple[str, str]] = Counter()
    for order_id, key, minor in _moved(played):
        leg = leg_of(key)
        moved[order_id, "buyer" if leg == "refund" else "seller"] += -minor if leg == "chargeback" else minor
    captured = {one.order_id for one in played.world.ledger.values() if one.event_type == "refund.captured.v1"}
    for order_id, minor in played.captured.items():
        if order_id not in captured and played.orders[order_id].status == "cancelled":
            minor = 0  # it was never paid
        by_ledger = booked[order_id, "buyer"] + minor, booked[order_id, "seller"]
        really = moved[order_id, "buyer"], moved[order_id, "seller"]
        platform = booked[order_id, "platform"]  # its commission, less what it has advanced
        if by_ledger != really or sum(really) + platform != minor:
            got = f"{by_ledger} by the ledger, and really {really}; the platform has {platform}"
            yield f"{order_id}: of {minor} buyer and seller got {got}"


def _moved(played: "Played") -> Iterator[tuple[str, str, int]]:
    for said in played.provider.moved:
        yield said.order_id, said.payment_key, said.amount_minor
    amounts = {said.payment_key: said.amount_minor for said in played.provider.moved}
    for back in played.provider.returned:
        key = back.payment_key or ""
        yield back.order_id, key, -amounts[key]
    by_hand = {
        one.id: one
        for one in played.world.observed.records()
        if one.type in (*DONE, IN_PART) and one.data["provider_reference"].startswith("by hand ")
    }
    for one in by_hand.values():
        yield one.order_id, key_of(one), one.data[DONE.get(one.type, "amount_minor")]


def every_input_is_handled_once(played: "Played") -> Iterator[str]:
    """S1 and S4, from the other side: what a service handled of an order is what lies in its topics, each record once,
    in the order of each topic. Of what others say and it answers with no row a database that was put back may know
    nothing, and nobody misses it: the process that had handled it goes on behind it."""
    for service in STREAMS:
        group = played.world.groups[service]
        put_back = any((one.kind, one.service) == ("database put back", service) for one in played.plan.faults)
        for (shard, order_id), lying in _lying(group).items():
            followed = {row.causation_id for row in group.rows(shard)}
            for topic, ids in lying.items():
                handled = [found.id for found, _ in group.handled[shard, order_id] if _topic(found, service) == topic]
                if put_back and topic != f"{service}.commands":
                    ids = [one for one in ids if one in handled or one in followed]
                if handled != ids:
                    yield f"{service} handled of {order_id} from {topic}: {handled}, there lies {ids}"


def _topic(found: Any, service: Service) -> str:
    if found.own or (found.digest is not None and found.type.startswith(f"{service}.")):
        return f"{service}.commands"
    between = {model: topic for topic, model in DECIDERS[service].between_streams}
    return between.get(type(found.payload)) or str(getattr(found.payload, "topic", ""))


def _lying(group: "Group") -> dict[tuple[int, str], dict[str, list[str]]]:
    """(shard, order) -> topic -> ids of what is for this service, repeats of our own publications left out."""
    lying: dict[tuple[int, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    heard = {(model.topic, model.type) for model in group.decider.subscriptions}
    heard |= {(topic, model.type) for topic, model in group.decider.between_streams}
    highest: Counter[tuple[str, str]] = Counter()
    for record, one in zip(group.world.bus.heard, group.world.observed.records(), strict=True):
        if one.topic != f"{group.service}.commands" and (one.topic, one.type) not in heard:
            continue
        if one.trusted and one.sequence is not None:
            if one.sequence <= highest[one.topic, one.source]:
                continue
            highest[one.topic, one.source] = one.sequence
        lying[one.partition, (record.key or b"").decode()][one.topic].append(one.id)
    return lying


def what_was_committed_is_on_the_bus(played: "Played") -> Iterator[str]:
    """S4: all of it and nothing else, to the last header; under ids and positions that nothing else has. But bells that
    rang in a time which the timer's database has forgotten: their numbers are given anew."""
    stored: dict[tuple[str, int | None], Any] = {}
    for service in SERVICES:
        rows = list(played.rows(service))
        if len({(row.shard, row.position) for row in rows}) < len(rows):
            yield f"{service}: positions {[(row.shard, row.position) for row in rows]}"
        ids = Counter(row.id for row in rows if row.stream_id is not None)
        yield from (f"{service} said {times} things under the id {id_}" for id_, times in ids.items() if times > 1)
        for row in rows:
            if row.topic is not None:
                content = row.topic, row.partition, row.data, tuple(published(row, service)[2])
                stored[f"recourse/{service}/{row.shard}", row.sequence] = content
    sent: set[tuple[str, int | None]] = set()
    for record, one in zip(played.world.bus.heard, played.world.observed.records(), strict=True):
        if one.sequence is not None:
            sent.add((one.source, one.sequence))
            forgotten = one.type == Elapsed.type and played.world.groups["timer"].was_put_back
            lies = record.topic, record.partition, record.value, record.headers
            if stored.get((one.source, one.sequence)) != lies and not forgotten:
                yield f"{one} at {one.place} is not what was committed"
    yield from (f"number {number} of {source} was never sent" for source, number in stored.keys() - sent)


def what_follows_belongs_to_its_story(played: "Played") -> Iterator[str]:
    """What a record brings about has its correlation id; what a deadline brings about that of a record before it."""
    stories: defaultdict[str, set[str]] = defaultdict(set)
    for record in played.world.bus.heard:
        id_ = header(record.headers, "ce_id") or ""
        stories[id_].add(header(record.headers, "ce_correlationid") or id_)
    for service in STREAMS:
        told: defaultdict[str | None, set[str | None]] = defaultdict(set)
        for row in played.rows(service):
            if row.stream_id is None:
                continue
            cause = row.causation_id or ""
            is_deadlines = cause.startswith(f"{service}/") or row.type == "timer.schedule.v1"
            wanted = told[row.stream_id] if is_deadlines else stories.get(cause, {row.correlation_id})
            if row.correlation_id not in wanted:
                told_as = f"{row.type} of {cause} belongs to {row.correlation_id}"
                yield f"{service} of {row.stream_id}: {told_as}, not {wanted}"
            told[row.stream_id].add(row.correlation_id)


PLANNED = ("parked: BrokenRule", "parked: unknown_type", "parked: unreadable_command")


def nothing_was_set_aside(played: "Played") -> Iterator[str]:
    """But for what the code could not handle for a while, as planned."""
    for (topic, _), log in played.world.bus.logs.items():
        if topic.endswith(".dead-letters"):
            reasons = [header(record.headers, "x-dead-letter-reason") or "" for record in log]
            yield from (f"a dead letter: {one}" for one in reasons if not one.startswith(PLANNED))


def letters_are_sent_once(played: "Played") -> Iterator[str]:
    """E1: what the mail server took is what is said to be sent, and nobody has two letters of one event."""
    mails, records = played.world.mails, played.world.observed.records()
    # Of one that was handed over, and nobody noted it before he was erased, it is said that there is no address (R74).
    erased = {one.data["delivery_id"] for one in records if one.data.get("problem") == "no_address"}
    words = (
        (mail.delivery_id, mail.model_copy(update={"email": None}))  # he may have moved meanwhile
        for mail in mails
        if mail.delivery_id not in erased
    )
    for wrong in letters.check_received("email", records, words):
        yield wrong.sentence
    handled = played.world.groups["notification"].handled
    events = Counter((found.stream_id, found.type, found.time) for some in handled.values() for found, _ in some)
    taken = {mail.delivery_id: mail for mail in mails}.values()
    told = Counter((one.order_id, one.event_type, one.event_at, one.recipient.id) for one in taken)
    for (order_id, type_, at, person), times in told.items():
        if times > events[order_id, type_, at]:
            yield f"{person} was told {times} times of {type_} at {at}"


def webhooks_of_ones_own_are_told_once(played: "Played") -> Iterator[str]:
    """E1, R74: each endpoint has what it took under one id, and of what stood there all the time it is said."""
    records = played.world.observed.records()
    sent = {told["delivery_id"] for one in records for told in letters.told_by(one)}
    lacking: defaultdict[str, list[set[str]]] = defaultdict(list)
    for record in played.world.bus.heard:
        if record.topic == "people":
            said = json.loads(record.value or b"{}")
            lacking[(record.key or b"").decode()].append({one["endpoint_id"] for one in said.get("webhooks", ())})
    ids: defaultdict[tuple[Any, ...], set[str]] = defaultdict(set)
    words = []
    for webhook in played.world.webhooks:
        one = webhook.queued
        ids[one.order_id, one.event_type, one.event_at, one.recipient, one.endpoint_id, str(one.facts)].add(
            one.delivery_id
        )
        stood = all(one.endpoint_id in said for said in lacking[one.recipient.id])
        if stood or one.delivery_id in sent:  # else it may have gone before anybody noted that it took it
            words.append((one.delivery_id, one.model_dump_json(exclude={"attempts"})))
        if f"/{one.recipient.role}-" not in webhook.url or "@" in str(one.facts):
            yield f"{webhook.url} is told {one.facts} of the {one.recipient.role}"
    events = Counter((order_id, type_) for order_id, type_, _ in {(one.order_id, one.type, one.id) for one in records})
    for (order_id, type_, at, *whom), found in ids.items():
        if len(found) > max(1, events[order_id, type_]):  # two of one moment may say the same
            yield f"{order_id}: {type_} of {at} is told {whom[:2]} under {found}"
    for wrong in letters.check_received("webhook", records, words):
        yield wrong.sentence


def nobody_sees_what_he_may_not(played: "Played") -> Iterator[str]:
    """D2, by the projection of the history (schemas/visibility.py) and by letter. Looks only at what holds an address,
    a refusal, or names who may see it: all else is for everybody."""
    for letter in played.world.mails:
        if not (letter.email or "").startswith(
            ("mara@", "noel@", "otto@") if letter.recipient.role == "mediator" else letter.recipient.role
        ):
            yield f"the letter of {letter.event_type} to the {letter.recipient.role} goes to {letter.email}"
        if letter.recipient.role == "seller" and letter.event_type == NEVER_FOR_SELLERS:
            yield "the seller has a letter about his declined solution"
        if "@" in str(letter.facts):
            yield f"a letter about {letter.event_type} tells an address"
    for (topic, _), log in played.world.bus.logs.items():
        if not topic.endswith(".events") or topic == "payments.events":
            continue
        for record in log:
            value = record.value or b""
            type_ = header(record.headers, "ce_type") or ""
            if b"@" in value or b'"visible_to"' in value or type_.endswith((".rejected.v1", ".repeated.v1")):
                model = Message.MODELS[type_]
                event = model.read(value)
                assert isinstance(event, Event)
                yield from _shown_wrongly(event)


def who_is_erased_is_forgotten(played: "Played") -> Iterator[str]:
    """R74: the table of people says what the topic does, and of who is erased nothing is left anywhere else."""
    group = played.world.groups["notification"]
    newest: dict[str, list[str]] = {}
    known: defaultdict[str, set[str]] = defaultdict(set)
    for record in played.world.bus.heard:
        if record.topic == "people":
            person_id, said = (record.key or b"").decode(), json.loads(record.value or b"{}")
            newest[person_id] = [said["email"], *(one["url"] for one in said.get("webhooks", ()))] if said else []
            known[person_id] |= {*newest[person_id]}
    kept = {
        person_id: [*([person.email] if person.email else []), *(one.url for one in person.webhooks)]
        for person_id, person in group.people.people.items()
    }
    if kept != newest:
        yield f"the table of people says {kept}, the topic {newest}"
    erased = {address for person_id, addresses in known.items() if not newest[person_id] for address in addresses}
    if not erased:
        return
    logs = {f"{topic}/{number}": log for (topic, number), log in played.world.bus.logs.items() if topic != "people"}
    rows = {f"the rows of {service}": one.shards for service, one in played.world.groups.items()}
    for where, what in (logs | rows).items():
        text = repr(what)
        yield from (f"{address} is erased, and in {where}" for address in erased if address in text)


def _shown_wrongly(event: Event) -> Iterator[str]:
    for viewer in get_args(Viewer):
        if viewer == "operator" or not may_see(event, viewer):
            continue
        text = str(view(event, viewer).data)
        addresses = [f"{other}-o" for other in ("buyer", "seller") if other != viewer]
        if any(f"'{one}" in text and f"{one}1@" in text for one in addresses) or "mara@" in text:
            yield f"the {viewer} sees an address in {event.type}"
        if viewer == "seller" and event.type == NEVER_FOR_SELLERS:
            yield "the seller sees that his solution was declined"
        if isinstance(event, Rejected | Repeated) and event.actor is not None and event.actor.role != viewer:
            yield f"the {viewer} sees an answer that was the {event.actor.role}'s"


def nobody_is_stranded(world: "World") -> Iterator[str]:
    """S3: each state that changes by time has an alarm for it, early enough, and the timer service holds it."""
    parked = set().union(*(group.parked() for group in world.groups.values()))
    alarms = {one.id for one in alarms_observed(world.groups["timer"].table)}
    for service in STREAMS:
        group = world.groups[service]
        for order_id, stream in _streams(group):
            if order_id in parked or stream is None:
                continue
            if (due := group.decider.earliest(stream.state)) is not None:
                if stream.alarm is None or stream.alarm > due.due_at + EARLY_WAKE_UP_DELAY:
                    yield f"{service} holds {due.name} of {order_id} for {due.due_at}, its alarm is {stream.alarm}"
                elif f"{service}/{order_id}" not in alarms:
                    yield f"{service} holds {due.name} of {order_id}, and the timer service knows of no alarm"


def _streams(group: "Group") -> Iterator[tuple[str, Stream[Any] | None]]:
    """(order, its stream as its owner holds it); None where that is not in memory."""
    for number, stored in group.shards.items():
        held = [process.loop.shards[number] for process in group.living() if number in process.loop.shards]
        owners = [shard for shard in held if shard.claim.epoch == stored.claim.epoch]
        streams: Mapping[str, Stream[Any]] = owners[0].streams if owners else {}
        for order_id in {row.stream_id: None for row in stored.events if row.stream_id is not None}:
            yield order_id, streams.get(order_id)


CHECKS: tuple[Callable[["Played"], Iterator[str]], ...] = (
    the_provider_moved_what_is_booked,
    every_input_is_handled_once,
    what_was_committed_is_on_the_bus,
    what_follows_belongs_to_its_story,
    nothing_was_set_aside,
    letters_are_sent_once,
    webhooks_of_ones_own_are_told_once,
    nobody_sees_what_he_may_not,
    who_is_erased_is_forgotten,
)
