"""What an operator does to a stopped service (docs/OPERATIONS.md, Disaster), in memory, by code of deploy/repair."""

from collections.abc import Sequence
from typing import Any

from deploy.repair.replay import Replay
from deploy.repair.standing import Outcome, Standing
from deploy.repair.tail import UnreadLog, said_by, unread
from schemas.topics import written_by
from services.timer.projection import Timers
from shared.kernel import codec
from shared.kernel.codec import Decoder
from shared.kernel.decider import Decider
from shared.kernel.ports import Record
from shared.runtime.memory import MemoryBus, MemoryStore
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
