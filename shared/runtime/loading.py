"""What must be known before a batch can be handled: the orders it is about, and which of its commands were answered."""

import asyncio
from typing import Any

from schemas.wire import Command, TopicEntry
from shared.kernel.decider import Decider, RefusedOnArrival
from shared.kernel.ports import Input, Store
from shared.kernel.stream import Stream, asked, fold, learn
from shared.runtime.batch import Batch

FOLDED_AT_ONCE_MAX = 500
"""Events; between two slices everybody else in the process has a turn: health, publishing, membership."""


async def load(decider: Decider[Any, Any, Any], store: Store, batch: Batch) -> None:
    """Folds the streams that are not in memory, all in one query, and looks in another one which commands were answered
    before. May raise what the store raises; a stream that cannot be folded raises for what comes for it alone."""
    if decider.is_stateless:
        return
    await _look_up(store, batch)
    wanted = {
        (work.shard.claim.shard, found.stream_id): work.shard
        for work in batch.work
        if isinstance(found := work.found, Input)
        and not isinstance(found.payload, TopicEntry)  # of no stream
        and found.stream_id not in work.shard.streams
    }
    if not wanted:
        return
    stored = await store.load(list(wanted))
    for (number, stream_id), shard in wanted.items():
        stream: Stream[Any] = Stream(stream_id)
        events = stored.get((number, stream_id), [])
        try:
            for begin in range(0, len(events), FOLDED_AT_ONCE_MAX):
                fold(decider, stream, events[begin : begin + FOLDED_AT_ONCE_MAX])
                await asyncio.sleep(0)
        except Exception as bug:
            batch.unreadable[shard, stream_id] = bug
        else:
            shard.streams[stream_id] = stream


async def _look_up(store: Store, batch: Batch) -> None:
    commands = {
        (work.shard.claim.shard, asked(found.stream_id, found.payload.actor, found.id), found.digest): None
        for work in batch.work
        if isinstance(found := work.found, Input)
        and isinstance(found.payload, Command | RefusedOnArrival)
        and found.digest is not None
    }
    if commands:
        for first in await store.answered(list(commands)):
            learn(batch.answers[first.shard], first)
