"""What is read or published once more, because a log is not what it was."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.topics import KEPT_FOR_EVER, SERVICES_WRITE
from shared.kernel.ports import Claim, Cursor, Log, Place, PlaceRefusal, Publisher, Store

SEND_EVENTS = 1_000


class Lacking(NamedTuple):
    """Messages of a shard that are not where they were published."""

    topic: str
    partition: int
    position: int
    """Of the first of them."""
    number: int
    """Likewise."""
    rows: int


def lacking(published: Iterable[Sequence[Any]], on_bus: Mapping[Place, Collection[int]]) -> list[Lacking]:
    """What the bus lacks of the rows (topic, partition, position, number), given by position. Each number is looked
    for: a log that was made anew has what was said before anybody noticed, and lacks all before that."""
    found: dict[Place, Lacking] = {}
    for topic, partition, position, number in published:
        if number not in on_bus.get((topic, partition), ()):
            first = found.get((topic, partition), Lacking(topic, partition, position, number, 0))
            found[topic, partition] = first._replace(rows=first.rows + 1)
    return [found[place] for place in sorted(found)]


def in_front_of(lacks: Lacking, on_bus: Mapping[Place, Collection[int]]) -> int | None:
    """A number that lies where it lacks one that must lie before it: whoever comes to it takes what is published behind
    it for repeats. None: there is none; or nobody reads numbers there."""
    if lacks.topic not in SERVICES_WRITE or lacks.topic.endswith(".dead-letters"):
        return None
    return max((one for one in on_bus.get((lacks.topic, lacks.partition), ()) if one > lacks.number), default=None)


def cut(claim: Claim, topic: str, log: Log, stamp: int | None = None) -> str | None:
    """What is wrong with where the shard stands in an input log; None: nothing. `stamp`: when what lies right before
    its cursor was appended, ms; None: nothing is known to lie there."""
    place, cursor = f"{topic}/{claim.shard}", claim.cursors.get(topic, Cursor())
    if cursor.topic_id not in (None, log.topic_id):
        return f"{place} was made anew; of the old one everything before {cursor.offset} was handled"
    if cursor.offset > log.end:
        return f"{place} ends at {log.end}, and {cursor.offset} was to be read next: its tail is lost"
    if stamp is not None and stamp > cursor.time:
        return (
            f"{place} has before {cursor.offset} what was appended since that was read: it was cut, and written again"
        )
    if cursor.offset < log.begin and topic in KEPT_FOR_EVER:
        return f"{place} begins at {log.begin}, and {cursor.offset} was to be read next"
    return None


def from_the_beginning(claim: Claim, topic: str, log: Log) -> Cursor:
    """Time does not go back with it."""
    return Cursor(log.begin, claim.cursors.get(topic, Cursor()).time, log.topic_id)


async def send(store: Store, publisher: Publisher, claim: Claim) -> tuple[int, Mapping[Place, PlaceRefusal]]:
    """All that was committed and is not known to be published; how many, and what was refused at last."""
    sent = 0
    while events := await store.unpublished(claim, SEND_EVENTS):
        if refused := await publisher.send(events):
            return sent, refused
        sent += len(events)
        claim.published = events[-1].position
        await store.note_published([claim])
    return sent, {}
