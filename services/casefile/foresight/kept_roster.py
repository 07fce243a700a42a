"""A stream that grows by the thousands, remembered once: the roster of mediators, of which every look at an order has
need. What was taken up to some record is kept, so that only what came since is taken anew."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

from schemas.instants import from_ms
from services.casefile.foresight.remembered import Remembered
from shared.kernel.decider import Decider
from shared.kernel.policies import Policies
from shared.kernel.ports import Record

KEPT_MAX = 64
KEPT_EVERY = 1_000
"""Records: so many are taken anew at most, of however long ago it is asked."""
Mark = tuple[object, ...]
"""How many records, and the first and the last of them."""


class KeptRoster:
    """Asked from any thread."""

    def __init__(self, decider: Decider[Any, Any, Any], stream_id: str) -> None:
        self.decider, self.stream_id = decider, stream_id
        self._kept: OrderedDict[Mark, Remembered] = OrderedDict()
        self._lock = Lock()

    def of(self, records: Sequence[Record], policies: Policies) -> Remembered:
        """As it stands after these, which are all there are from the first of them on, in order. The caller's own."""
        with self._lock:
            taken = self._longest(records, policies)
            known = self._kept[_mark(records, taken)] if taken else Remembered(self.decider, self.stream_id, policies)
            while taken < len(records):
                known = known.fork()
                ends = min(len(records), taken + KEPT_EVERY)
                for record in records[taken:ends]:
                    known.take(record)
                known.until(from_ms(records[ends - 1].timestamp))
                taken = ends
                self._keep(_mark(records, taken), known)
            return known.fork()

    def _longest(self, records: Sequence[Record], policies: Policies) -> int:
        """So many of them were taken before."""
        for count in range(len(records), 0, -1):
            known = self._kept.get(_mark(records, count))
            if known is not None and known.policies is policies:
                return count
        return 0

    def _keep(self, mark: Mark, known: Remembered) -> None:
        self._kept[mark] = known
        self._kept.move_to_end(mark)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)


def _mark(records: Sequence[Record], count: int) -> Mark:
    first, last = records[0], records[count - 1]
    ends = ((one.topic, one.partition, one.offset, one.timestamp, one.value) for one in (first, last))
    return (count, *ends)
