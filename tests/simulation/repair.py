"""What an operator does to a stopped service (docs/OPERATIONS.md, Disaster), in memory, by code of deploy/repair."""

from collections.abc import Sequence
from typing import Any

from deploy.repair import again
from deploy.repair.replay import Replay
from deploy.repair.standing import Outcome, Standing
from deploy.repair.tail import UnreadLog, said_by, unread
from schemas.topics import written_by
from services.timer.projection import Timers
from shared.kernel import codec
from shared.kernel.codec import Decoder
from shared.kernel.decider import Decider
from shared.kernel.ports import Claim, Commit, Cursor, Place, Record
from shared.runtime.memory import MemoryBus, MemoryPublisher, MemoryStore
from shared.runtime.partitions import home_among
from tests.simulation.plan import RULES


def outputs(bus: MemoryBus, service: str) -> list[Record]:
    """All that lies where the service writes."""
    return [record for topic in written_by(service) for record in bus.records(topic)]


async def replay(
    decider: Decider[Any, Any, Any], store: MemoryStore, bus: MemoryBus, shards: Sequence[int]
) -> list[Outcome]:
    """What the bus has beyond the rows is decided once more and compared."""
    home = home_among(bus.partitions)
    decoder, written = Decoder(decider, home), outputs(bus, decider.service)
    outcomes = []
    for claim in await store.claim(shards, "repair"):
        logs = [
            UnreadLog(topic, unread(decoder, claim, topic, bus.logs.get((topic, claim.shard), [])))
            for topic in decoder.topics
        ]
        said = said_by(codec.source_of(decider.service, claim.shard), written, 0)
        for projection in store.projections:
            if isinstance(projection, Timers):
                await projection.opened(claim.shard)
        outcomes.append(await Replay(Standing(decider, RULES, home, store, claim, said), logs).run())
    return outcomes


async def republish(decider: Decider[Any, Any, Any], store: MemoryStore, bus: MemoryBus) -> tuple[int, list[str]]:
    """What the bus lacks of the rows is published again, and logs that are not what they were are read from where they
    begin; how many messages, and which logs."""
    decoder = Decoder(decider, home_among(bus.partitions))
    sent, restarted = 0, list[str]()
    for claim in await store.claim(range(bus.partitions), "repair"):
        moved = []
        for topic in decoder.topics:
            log, offset = bus.log(topic, claim.shard), claim.cursors.get(topic, Cursor()).offset - 1
            lying = (one.timestamp for one in bus.logs.get((topic, claim.shard), ()) if one.offset == offset)
            if (sentence := again.cut(claim, topic, log, next(lying, None))) is not None:
                moved.append((claim.shard, topic, again.from_the_beginning(claim, topic, log)))
                restarted.append(sentence)
        if moved:
            await store.commit(Commit([claim], moved, [], [], [], [], []))
        if (position := _first_missing(store, bus, decider.service, claim)) is not None:
            stored = store.shards[claim.shard].claim
            stored.published = claim.published = min(claim.published, position - 1)
            sent += (await again.send(store, MemoryPublisher(bus, decider.service), claim))[0]
    return sent, restarted


def last_said(bus: MemoryBus, service: str, shard: int) -> dict[Place, int]:
    """The highest number that the shard has on the bus, by where it lies."""
    found: dict[Place, int] = {}
    for record in outputs(bus, service):
        source, number = codec.numbered(record) or ("", 0)
        if source == codec.source_of(service, shard):
            place = record.topic, record.partition
            found[place] = max(number, found.get(place, 0))
    return found


def _first_missing(store: MemoryStore, bus: MemoryBus, service: str, claim: Claim) -> int | None:
    """The position from which on the bus lacks something."""
    on_bus: dict[Place, set[int]] = {}
    for record in outputs(bus, service):
        source, number = codec.numbered(record) or ("", 0)
        if source == codec.source_of(service, claim.shard):
            on_bus.setdefault((record.topic, record.partition), set()).add(number)
    rows = store.shards[claim.shard].events
    published = [(row.topic, row.partition, row.position, row.sequence) for row in rows if row.topic is not None]
    return min((one.position for one in again.lacking(published, on_bus)), default=None)
