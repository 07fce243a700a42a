"""Shards that an outage takes from us again and again, and nothing is committed in between."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.kernel.ports import Clock, Outage, Unstorable
from shared.runtime.progress import STALLED_AFTER

FORGOTTEN_AFTER = timedelta(minutes=1)
"""Who has met none for so long, and committed nothing, had nothing to do. Longer than a statement may take."""


@dataclass(slots=True)
class _Failing:
    since: datetime
    last: datetime
    times: int
    kind: str


class Outages:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing: dict[int, _Failing] = {}

    def met(self, shards: Iterable[int], outage: Outage | Unstorable) -> None:
        """A batch of these shards met one. Of what it said only the kind is kept: there may be rows in its words."""
        now = self._clock()
        for shard in shards:
            known = self._failing.get(shard)
            if known is None or now - known.last > FORGOTTEN_AFTER:
                known = self._failing[shard] = _Failing(now, now, 0, "")
            known.last, known.times, known.kind = (
                now,
                known.times + 1,
                type(outage.__cause__ or outage.__context__ or outage).__name__,
            )

    def over(self, shards: Iterable[int]) -> None:
        """Something of these was committed, or they are ours no more."""
        for shard in shards:
            self._failing.pop(shard, None)

    def lasting(self) -> dict[int, tuple[int, str]]:
        """Shard -> how often, and of which kind the last was."""
        now = self._clock()
        return {
            shard: (one.times, one.kind)
            for shard, one in sorted(self._failing.items())
            if one.last - one.since > STALLED_AFTER and now - one.last <= FORGOTTEN_AFTER
        }
