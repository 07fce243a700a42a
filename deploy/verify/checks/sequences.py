"""Sequences have no gaps, and what is published keeps its order (S4).

A shard numbers all that it publishes, over all topics. A number that is nowhere was lost; unless it lay in a topic
whose records expire and is past its retention, which cannot be told apart once that is possible. Records on topics that
outsiders may write fill gaps but prove nothing: their numbers may be made up.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from deploy.verify.checks.order_history import OrderHistory, Snapshot
from deploy.verify.observation import UNREADABLE, Observation
from deploy.verify.report import Violation
from schemas.timer.commands import TimerResume
from schemas.topics import KEPT_FOR_EVER


def check(history: OrderHistory) -> Iterator[Violation]:
    """What an order's events say of themselves, one by one."""
    for one in history.firsts():
        if not one.of_its_shard and one.type != TimerResume.type:  # an operator's
            source = one.source or "nobody"
            yield history.violated("S4", f"{one} was not written by its shard but, it says, by {source}", one)
        if one.type == UNREADABLE:
            yield history.violated("S4", f"{one} is not what its schema says", one)
    for first, one in history.again:
        if _said(one) != _said(first):
            sentence = f"one id, two events: {one} is there with another content at {first.place}"
            yield history.violated("S4", sentence, one)


def _said(one: Observation) -> tuple[str, str, int | None, bytes]:
    return one.topic, one.source, one.sequence, one.digest


def check_shard(source: str, written: Iterable[Observation], snapshot: Snapshot) -> Iterator[Violation]:
    """`written` by number, of one number as they lie."""
    expected = 1
    gaps: list[tuple[int, int]] = []
    """Since the last record that can be trusted."""
    latest: dict[tuple[str, int], Observation] = {}
    for number, together in groupby(written, lambda one: one.sequence or 0):
        same = list(together)
        if number > expected:
            gaps.append((expected, number - 1))
        expected = max(expected, number + 1)
        trusted = [one for one in same if one.trusted]
        if not trusted:
            continue
        for gap in gaps:
            yield _missing(source, gap, trusted[0], snapshot)
        gaps.clear()
        yield from _is_one(trusted)
        yield from _is_in_order(trusted[0], latest)


def check_beginnings(snapshot: Snapshot) -> Iterator[Violation]:
    for topic, partition in snapshot.begins:
        if topic in KEPT_FOR_EVER:
            gone = f"{topic}/{partition} does not begin at its beginning: events are for ever, and its first are gone"
            yield Violation("S4", gone)


def _missing(source: str, gap: tuple[int, int], before: Observation, snapshot: Snapshot) -> Violation:
    first, last = gap
    numbers = f"number {first} of {source} is" if first == last else f"numbers {first} to {last} of {source} are"
    sentence = f"{numbers} nowhere; the next is {before} of {before.order_id}"
    found = Violation("S4", sentence, place=before.place, times=last - first + 1)
    if before.at <= snapshot.horizon:
        return found._replace(excuse="expired")
    return found if snapshot.is_late(before.at) else found._replace(excuse="in flight")


def _is_one(same: list[Observation]) -> Iterator[Violation]:
    first, *others = same
    for one in others:
        if (one.partition, *_said(one), one.id) != (first.partition, *_said(first), first.id):
            number = f"{first.sequence} of {first.source}"
            sentence = f"one number, two events: {number} is {one} and, at {first.place}, {first}"
            yield Violation("S4", sentence, one.order_id, one.place)


def _is_in_order(one: Observation, latest: dict[tuple[str, int], Observation]) -> Iterator[Violation]:
    """As first seen."""
    log = one.topic, one.partition
    before = latest.get(log)
    if before is not None and one.offset < before.offset:
        sentence = f"{one}, number {one.sequence}, lies before {before}, number {before.sequence}, at {before.place}"
        yield Violation("S4", sentence, one.order_id, one.place)
    else:
        latest[log] = one
