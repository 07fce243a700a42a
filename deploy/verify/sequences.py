"""Sequences have no gaps, and what is published keeps its order (S4).

A shard numbers all that it publishes, over all topics. A number that is nowhere was lost; unless it lay in a topic of
commands and is past its retention, which cannot be told apart once that is possible. Records on topics that outsiders
may write fill gaps but prove nothing: their numbers may be made up.
"""

from collections.abc import Iterable
from itertools import groupby

from deploy.verify.case import Moment
from deploy.verify.facts import Fact
from deploy.verify.report import Report, Violation


def judge(source: str, facts: Iterable[Fact], moment: Moment, report: Report) -> None:
    """`facts` by number, of one number as they lie."""
    expected = 1
    gaps: list[tuple[int, int]] = []
    """Since the last record that can be trusted."""
    latest: dict[tuple[str, int], Fact] = {}
    for number, together in groupby(facts, lambda fact: fact.sequence or 0):
        same = list(together)
        if number > expected:
            gaps.append((expected, number - 1))
        expected = max(expected, number + 1)
        trusted = [fact for fact in same if fact.trusted]
        if not trusted:
            continue
        for gap in gaps:
            _missing(source, gap, trusted[0], moment, report)
        gaps.clear()
        _is_one(trusted, report)
        _is_in_order(trusted[0], latest, report)


def _missing(source: str, gap: tuple[int, int], before: Fact, moment: Moment, report: Report) -> None:
    first, last = gap
    if before.at <= moment.horizon:
        report.counts["expired"] += last - first + 1
    elif not moment.is_late(before.at):
        report.in_flight["S4"] += last - first + 1
    else:
        numbers = f"number {first} of {source} is" if first == last else f"numbers {first} to {last} of {source} are"
        sentence = f"{numbers} nowhere; the next is {before} of {before.order_id}"
        report.violated("S4", Violation("", sentence, before.place))


def _is_one(same: list[Fact], report: Report) -> None:
    first, *others = same
    report.checked["S4"] += len(same)
    report.counts["events"] += 1
    report.counts["repeats"] += len(others)
    for other in others:
        if (other.topic, other.partition, other.id, other.digest) != (
            first.topic,
            first.partition,
            first.id,
            first.digest,
        ):
            sentence = (
                f"one number, two events: {first.sequence} of {first.source} is {other} and, at {first.place}, {first}"
            )
            report.violated("S4", Violation(other.order_id, sentence, other.place))


def _is_in_order(fact: Fact, latest: dict[tuple[str, int], Fact], report: Report) -> None:
    """As first seen."""
    log = fact.topic, fact.partition
    before = latest.get(log)
    if before is not None and fact.offset < before.offset:
        sentence = f"{fact}, number {fact.sequence}, lies before {before}, number {before.sequence}, at {before.place}"
        report.violated("S4", Violation(fact.order_id, sentence, fact.place))
        return
    latest[log] = fact
