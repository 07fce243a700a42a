"""What is worked out of an order's records: in threads, so much at a time, and once for each state of the order."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Semaphore
from typing import Any, TypeVar

from services.casefile.front.turned_away import Away, Busy
from services.casefile.shown.reading import Found
from services.casefile.shown.shapes import CaseShown, OrderShown
from shared.kernel.policies import Policies, PolicyMissing

T = TypeVar("T")
Told = TypeVar("Told", CaseShown, OrderShown)
THREADS = 2
UNDER_WAY_MAX = 32
"""Being worked on or waiting for it; who comes then is told to come again."""
KEPT_MAX = 256
KEPT_FOR = timedelta(minutes=1)


class Workers:
    """The loop and the leases of its process are never held up by an answer. Of a question that nobody waits for any
    more only what is begun is done, and counts until then."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="casefile")
        self._room = Semaphore(UNDER_WAY_MAX)

    async def done(self, work: Callable[[], T]) -> T:
        """Raises Busy, and Away: a policy is not there yet, for which the services wait, too."""
        if not self._room.acquire(blocking=False):
            raise Busy("So many ask at once that yours would wait too long.")
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._room.release())
        try:
            return await asyncio.wrap_future(future)
        except PolicyMissing:
            raise Away("The rules that this order lives under are not known here yet.") from None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Kept:
    shown: CaseShown | OrderShown | None
    policies: Policies
    until: datetime


class Memo:
    """What was worked out stays true until something is said of the order or a clock of it runs out."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._kept: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()

    async def told(
        self,
        question: tuple[Any, ...],
        found: Found,
        policies: Policies,
        now: datetime,
        work: Callable[[], Told | None],
    ) -> Told | None:
        """`question`: all that the answer depends on besides."""
        key = (found.order_id, *question, _version(found))
        kept = self._kept.get(key)
        if kept is None or kept.policies is not policies or now >= kept.until:
            shown = await self.workers.done(work)
            kept = self._kept[key] = _Kept(shown, policies, _true_until(shown, now))
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        told: Any = kept.shown
        return None if told is None else told.model_copy(update={"as_of": found.as_of})


def _version(found: Found) -> tuple[Any, ...]:
    """Another one whenever anything was said of it, to it or, of the mediators, besides."""
    kinds = (found.records, found.roster, found.commands, found.dead_letters)
    return tuple((len(one), (one[-1].topic, one[-1].partition, one[-1].offset) if one else None) for one in kinds)


def _true_until(shown: CaseShown | OrderShown | None, now: datetime) -> datetime:
    if shown is None:
        return now
    acts = [act for player in shown.players for act in (*player.available_actions, *player.never)]
    changes = [
        *(one.at for one in shown.nobody_acts),
        *(at for act in acts for at in (act.from_, act.until) if at is not None),
    ]
    return min([now + KEPT_FOR, *(at for at in changes if at > now)])
