"""Which parked orders go on, slice by slice, and which shards cannot even keep that an order waits."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.kernel.policies import Policies, PolicyMissing
from shared.kernel.ports import Record, Store, Unstorable
from shared.runtime.batch import Arrival, Batch, Shard, WaitingRecord
from shared.runtime.problems import Problems

SLICE = 500
"""Parked records that are read and handled at once: as many as a batch has, so whoever keeps on writing to a parked
order is caught up with."""
REFUSED_SECONDS, REFUSED_SECONDS_MAX = 0.5, 30.0
"""For so long a shard is not served whose database refuses all there is to keep; twice as long each time."""
RECIPE = "what-the-database-refuses"


@dataclass(slots=True)
class _Refused:
    arrived: object
    seconds: float


class Parking:
    """Of the shards that a loop owns, as long as it does."""

    def __init__(self, service: str, store: Store, shards: dict[int, Shard], problems: Problems) -> None:
        self.service, self.store, self.shards, self.problems = service, store, shards, problems
        self._policies: Policies | None = None
        self._last = -1
        """Shard of the last slice: they take turns."""
        self._refused: dict[int, _Refused] = {}

    def next(self, policies: Policies) -> tuple[Shard, str] | None:
        """Shard and stream of which a slice is to be handled. What waits for a policy goes on once there are others."""
        if policies is not self._policies:
            if policies != self._policies:
                for shard in self.shards.values():
                    shard.resuming |= dict.fromkeys(sorted(shard.unruled), False)
                    shard.unruled.clear()
            self._policies = policies
        numbers = sorted(
            number for number, shard in self.shards.items() if shard.resuming and shard.ready and not shard.held
        )
        if not numbers:
            return None
        shard = self.shards[next((number for number in numbers if number > self._last), numbers[0])]
        return shard, next(iter(shard.resuming))

    async def slice(self, shard: Shard, stream_id: str) -> list[Arrival]:
        """The first records that wait with a stream; the other streams come before its next ones."""
        self._last = shard.claim.shard
        shard.resuming[stream_id] = shard.resuming.pop(stream_id)
        some = await self.store.parked(shard.claim.shard, stream_id, SLICE + 1)
        if not some:
            shard.claim.parked.discard(stream_id)
            del shard.resuming[stream_id]
        last = len(some) - 1
        return [(shard, WaitingRecord(stream_id, parked, number == last)) for number, parked in enumerate(some[:SLICE])]

    def adopt(self, batch: Batch) -> None:
        """After its commit: what was asked for goes on, and what stopped again waits."""
        for shard, stream_id in batch.released:
            if stream_id in shard.claim.parked:
                shard.resuming[stream_id] = True  # should it stop now, that is news
            else:
                shard.resuming.pop(stream_id, None)
        for (shard, stream_id), bug in batch.stopped.items():
            shard.resuming.pop(stream_id, None)
            if isinstance(bug, PolicyMissing):
                shard.unruled.add(stream_id)
        for shard, stream_id in batch.resumed:
            shard.resuming[stream_id] = True
        self.forget([shard.claim.shard for shard in batch.claims if self._is_past(shard)])

    def refused(self, arrival: Arrival, bug: Exception) -> float:
        """Not even that it waits can be kept, and what else to do nobody knows: returns after how many seconds to try
        again."""
        shard, arrived = arrival
        number = shard.claim.shard
        before = self._refused.get(number)
        seconds = REFUSED_SECONDS if before is None else min(2 * before.seconds, REFUSED_SECONDS_MAX)
        self._refused[number] = _Refused(arrived, seconds)
        told = str(bug) if isinstance(bug, Unstorable) else type(bug).__name__
        sentence = f"shard {number} is not served: nothing that its next input leads to can be kept ({told})"
        self.problems.begin(self._place(number), sentence, RECIPE)
        return seconds

    def _is_past(self, shard: Shard) -> bool:
        """Whether what was refused is kept by now."""
        refused = self._refused.get(shard.claim.shard)
        if refused is None or not isinstance(refused.arrived, Record):
            return refused is not None
        cursor = shard.claim.cursors.get(refused.arrived.topic)
        return cursor is not None and cursor.offset > refused.arrived.offset

    def forget(self, numbers: Sequence[int]) -> None:
        """It is over with these shards, or they are somebody else's."""
        for number in numbers:
            self._refused.pop(number, None)
            self.problems.end(self._place(number))

    def _place(self, number: int) -> str:
        return f"{self.service}/{number}"
