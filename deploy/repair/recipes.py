"""The recipes: what each finds, asks and does. Every one leaves a row for each shard that it touched."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from deploy.repair import again
from deploy.repair.bus import Bus
from deploy.repair.replay import Replay
from deploy.repair.standing import Outcome, Standing
from deploy.repair.stopped import CannotRepair, StoppedService
from deploy.repair.tail import UnreadLog, said_by, unread
from schemas.instants import to_ms
from schemas.topics import KEPT_FOR_EVER, SERVICES_WRITE, all_topics
from shared.kernel import codec
from shared.kernel.ports import Claim, Commit, Cursor, Log, Place
from shared.runtime.kafka.connection import connection
from shared.runtime.kafka.publisher import KafkaPublisher

MARGIN_MS = 10 * 60 * 1000
"""By which the clock of a service may differ from a broker's."""
FIRST_TIME = "SELECT min(time) FROM event WHERE shard = $1 AND position > least($2, $3 - 100)"
PUBLISHED = """
SELECT topic, partition, position, sequence FROM event
LEFT JOIN unnest($2::text[], $3::bigint[]) AS kept (topic, since) USING (topic)
WHERE shard = $1 AND topic IS NOT NULL AND time >= coalesce(since, 0) ORDER BY position
"""
PUT_BACK = "UPDATE shard SET published = $3 WHERE shard = $1 AND epoch = $2 AND published > $3"

Ask = Callable[[Sequence[str]], bool]
"""Shows what was found and what is to be done, and asks whether it shall be."""
Say = Callable[[str], None]


# -- the database is older than the bus --------------------------------------------------------------------------------


async def replay(held: StoppedService, bus: Bus, ask: Ask, say: Say) -> None:
    """What the bus has beyond the database is decided once more and compared; nothing is sent."""
    on_bus = {claim.shard: _last(await bus.said_last(claim.shard)) for claim in held.claims}
    behind = [claim for claim in held.claims if on_bus[claim.shard] > claim.sequence]
    if not behind:
        say("No shard's database is older than the bus: there is nothing to replay.")
        return
    found = [
        f"shard {claim.shard}: the database goes to number {claim.sequence}, the bus to {on_bus[claim.shard]}"
        for claim in behind
    ]
    if not ask([*found, "What was said stands: it is decided once more and compared, and nothing is sent."]):
        return
    for claim in behind:
        outcome, after = await _replayed(held, bus, claim)
        held.claims[held.claims.index(claim)] = after
        await _note_replay(held, outcome, claim.sequence, after.sequence)
        say(
            f"shard {claim.shard}: {outcome.decided} messages decided again as they were said, {outcome.taken} taken"
            f" as they were said, {outcome.unsent} to be published, {len(outcome.withheld)} orders withheld,"
            f" {len(outcome.missing)} numbers nowhere"
        )


def _last(said: Mapping[Place, int]) -> int:
    """Where outsiders write a number proves nothing."""
    return max((number for (topic, _), number in said.items() if topic in SERVICES_WRITE), default=0)


async def _replayed(held: StoppedService, bus: Bus, claim: Claim) -> tuple[Outcome, Claim]:
    first = await held.pool.fetchval(FIRST_TIME, claim.shard, claim.published, claim.position)
    outputs = await bus.said_since(claim.shard, max(0, (first or 0) - MARGIN_MS))
    said = said_by(codec.source_of(held.service, claim.shard), outputs, 0)
    logs = []
    for topic in held.decoder.topics:
        records = await bus.unread(topic, claim.shard, claim.cursors.get(topic, Cursor()).offset)
        logs.append(UnreadLog(topic, unread(held.decoder, claim, topic, records)))
    standing = Standing(held.decider, held.policies, held.home, held.store, claim, said)
    return await Replay(standing, logs).run(), standing.claim


async def _note_replay(held: StoppedService, outcome: Outcome, before: int, last: int) -> None:
    counted = {"decided": outcome.decided, "taken": outcome.taken, "unsent": outcome.unsent}
    await held.note(outcome.shard, {"from": before, "to": last, **counted, "withheld": len(outcome.withheld)})
    for stream_id, why in outcome.withheld.items():
        await held.note(outcome.shard, {"why": why}, stream_id)
    if outcome.missing:
        why = f"{', '.join(_spans(outcome.missing))} are nowhere on the bus, and nothing brings them about"
        await held.note(outcome.shard, {"why": why}, codec.source_of(held.service, outcome.shard))


def _spans(numbers: Sequence[int]) -> Iterator[str]:
    for _, some in groupby(enumerate(numbers), key=lambda one: one[1] - one[0]):
        first, *rest = (number for _, number in some)
        yield f"{first} to {rest[-1]}" if rest else str(first)


# -- the bus lost what we said, or a log its tail ----------------------------------------------------------------------


async def republish(held: StoppedService, bus: Bus, ask: Ask, say: Say) -> None:
    """What the bus lacks of the event table is published again, under its numbers; logs that were cut or made anew are
    read from where they begin."""
    missing = {}
    for claim in held.claims:
        on_bus = await bus.said(claim.shard)
        missing[claim.shard] = await _missing(held, claim, on_bus)
        for lacks in missing[claim.shard]:
            if (number := again.in_front_of(lacks, on_bus)) is not None:
                place = f"{lacks.topic}/{lacks.partition}"
                raise CannotRepair(
                    f"{place} has number {number} and lacks {lacks.number}, which must lie before it: leave this"
                    f" service and who reads {lacks.topic} stopped, delete it, have the set-up job make it, and repeat"
                )
    cut = {claim.shard: await _cut(held, bus, claim) for claim in held.claims}
    found = [
        f"shard {shard}: {rows} messages are not in {topic}/{partition}, from position {position} on"
        for shard, places in missing.items()
        for topic, partition, position, _, rows in places
    ] + [f"shard {shard}: {sentence}" for shard, logs in cut.items() for sentence, _ in logs.values()]
    if not found:
        say("The bus has all that was published, and every log is the one that was read: there is nothing to do.")
        return
    if not ask([*found, "It is published again, and such logs are read from where they begin: repeats are known."]):
        return
    publisher = KafkaPublisher(connection(held.settings), held.service, held.settings.topic_prefix)
    try:
        for claim in held.claims:
            await _move(held, claim, cut[claim.shard], say)
            if missing[claim.shard]:
                first = min(one.position for one in missing[claim.shard])
                sent = await _send(held, publisher, claim, first - 1)
                facts = {"published again": sent, "from position": first, "missing": missing[claim.shard]}
                await held.note(claim.shard, facts)
                say(f"shard {claim.shard}: {sent} messages published again")
    finally:
        await publisher.stop()


async def _missing(held: StoppedService, claim: Claim, on_bus: Mapping[Place, Collection[int]]) -> list[again.Lacking]:
    """What is past its retention is not missing."""
    now = to_ms(datetime.now(UTC))
    kept = {one.name: now - int(one.config["retention.ms"]) for one in all_topics() if one.name not in KEPT_FOR_EVER}
    return again.lacking(await held.pool.fetch(PUBLISHED, claim.shard, [*kept], [*kept.values()]), on_bus)


async def _send(held: StoppedService, publisher: KafkaPublisher, claim: Claim, published: int) -> int:
    await held.pool.execute(PUT_BACK, claim.shard, claim.epoch, published)
    claim.published = min(claim.published, published)
    sent, refused = await again.send(held.store, publisher, claim)
    for (topic, partition), refusal in refused.items():
        raise CannotRepair(f"{topic}/{partition} takes no records: {refusal.reason}")
    return sent


# -- a log is not the one that was read --------------------------------------------------------------------------------


async def restart_topic(held: StoppedService, bus: Bus, topic: str, ask: Ask, say: Say) -> None:
    """One input topic that was made anew, or was cut, is read from where it begins."""
    cut = {claim.shard: await _cut(held, bus, claim, [topic]) for claim in held.claims}
    found = [f"shard {shard}: {sentence}" for shard, logs in cut.items() for sentence, _ in logs.values()]
    if not found:
        say(f"{topic} is the topic that was read: there is nothing to do.")
        return
    if not ask([*found, "It is read from where it begins. What lay unread in the old one is lost."]):
        return
    for claim in held.claims:
        await _move(held, claim, cut[claim.shard], say)


async def _cut(
    held: StoppedService, bus: Bus, claim: Claim, topics: Sequence[str] | None = None
) -> dict[str, tuple[str, Log]]:
    """Input topic -> what is wrong with where the shard stands in it, and the log as it is."""
    found = {}
    for topic in topics or held.decoder.topics:
        log, cursor = await bus.log(topic, claim.shard), claim.cursors.get(topic, Cursor())
        stamp = await bus.stamp(topic, claim.shard, cursor.offset - 1) if cursor.offset else None
        if sentence := again.cut(claim, topic, log, stamp):
            found[topic] = sentence, log
    return found


async def _move(held: StoppedService, claim: Claim, cut: Mapping[str, tuple[str, Log]], say: Say) -> None:
    if not cut:
        return
    moved: list[tuple[int, str, Cursor]] = []
    for topic, (sentence, log) in cut.items():
        before = claim.cursors.get(topic, Cursor())
        moved.append((claim.shard, topic, again.from_the_beginning(claim, topic, log)))
        facts: dict[str, Any] = {"why": f"{sentence}; how many lay unread behind it nobody knows", "begin": log.begin}
        lost = topic not in SERVICES_WRITE or before.offset < log.begin  # what services said is published again
        await held.note(claim.shard, facts, f"{topic}/{claim.shard}" if lost else None)
        say(f"shard {claim.shard}: {topic} is read from {log.begin} on")
    await held.store.commit(Commit([claim], moved, [], [], [], [], []))
