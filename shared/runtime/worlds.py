"""Do database and logs belong together? Rather unavailable than wrong: a shard of which they do not is not served
until somebody has said which of them is true.

What is not noticed: a log that lost its tail and was written beyond its old end within a second, between two looks; and
that the bus lost what was said longer ago than the store is asked for, or further back than a source looks.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schemas.topics import KEPT_FOR_EVER, SERVICES_WRITE, written_by
from shared.kernel import codec
from shared.kernel.ports import SEARCHED_MAX, Claim, Clock, Commit, Cursor, Log, Place, Source, Store
from shared.runtime.batch import Shard
from shared.runtime.problems import Problem, Problems

log = logging.getLogger(__name__)

COMPARED_AGAIN_AFTER = timedelta(seconds=3)
KIND = "log "
"""How the places of problems begin that are told here."""
LOST_TAIL = "the-log-lost-its-tail"
MADE_ANEW = "a-topic-was-made-anew"
NO_LEADER = "a-server-does-not-answer"
UNREAD = "records-ended-before-they-were-read"
OLD_DATABASE = "the-database-is-older-than-the-bus"
LOST_EVENTS = "the-bus-lost-what-we-said"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    place: str
    sentence: str
    recipe: str


def of_inputs(claim: Claim, topics: Iterable[str], logs: Mapping[Place, Log | None]) -> Iterator[Discrepancy]:
    """Where the shard's cursors do not stand in the logs that are there."""
    for topic in topics:
        place, cursor = f"{topic}/{claim.shard}", claim.cursors.get(topic, Cursor())
        found = logs.get((topic, claim.shard))
        if (topic, claim.shard) in logs and found is None:
            yield unled(place)
        elif found is None or cursor.topic_id not in (None, found.topic_id):
            yield another(topic, found)
        elif cursor.offset > found.end:
            told = f"{place} ends at {found.end}, and {cursor.offset} is to be read next: the log lost its tail."
            yield Discrepancy(place, told, LOST_TAIL)
        elif cursor.offset < found.begin and topic in KEPT_FOR_EVER:
            yield unread(claim.shard, topic, cursor, found)


def of_outputs(
    claim: Claim, logs: Mapping[Place, Log | None], known: Mapping[Place, int], said: Mapping[Place, int]
) -> Iterator[Discrepancy]:
    """Where what the bus has of this shard is not what its database knows: `known` to be there, and `said` there."""
    for (topic, shard), number in said.items():
        if shard == claim.shard and number > claim.sequence:
            place = f"{topic}/{shard}"
            told = f"{place} has number {number} of this shard, and the database goes to {claim.sequence}: it is older."
            yield Discrepancy(place, told, OLD_DATABASE)
    for (topic, shard), number in known.items():
        found, last = logs.get((topic, shard)), said.get((topic, shard))
        if shard == claim.shard and found and _must_have(topic, found, last) and (last or 0) < number:
            place = f"{topic}/{shard}"
            told = f"{place} took number {number} of this shard, and has them to {last or 0} alone: the bus lost some."
            yield Discrepancy(place, told, LOST_EVENTS)


def _must_have(topic: str, found: Log, last: int | None) -> bool:
    """Where others write, ours may lie further back than one looks; but not where all would be seen."""
    return topic in KEPT_FOR_EVER or last is not None or (found.begin == 0 and found.end <= SEARCHED_MAX)


def another(topic: str, found: Log | None) -> Discrepancy:
    if found is None:
        return Discrepancy(topic, f"The topic {topic} is gone, or partitions of it.", MADE_ANEW)
    return Discrepancy(topic, f"The topic {topic} is not the one that it was: it was deleted and made anew.", MADE_ANEW)


def unled(place: str) -> Discrepancy:
    return Discrepancy(place, f"No broker leads {place}: nobody can say what it holds.", NO_LEADER)


def unread(shard: int, topic: str, cursor: Cursor, found: Log) -> Discrepancy:
    told = f"{topic}/{shard} begins at {found.begin}, and {cursor.offset} was to be read next: records are gone unread."
    return Discrepancy(f"{topic}/{shard}", told, UNREAD)


def _copied(cursors: Mapping[str, Cursor]) -> dict[str, Cursor]:
    return {topic: replace(cursor) for topic, cursor in cursors.items()}


class WorldCheck:
    """Compares the shards of a loop with the logs, and says what does not fit."""

    def __init__(
        self, service: str, topics: Sequence[str], store: Store, source: Source, problems: Problems, clock: Clock
    ) -> None:
        self.service, self.topics = service, topics
        self.store, self.source, self.problems, self.clock = store, source, problems, clock
        self.outputs = [topic for topic in written_by(service) if not topic.endswith(".dead-letters")]
        """Nobody acts on dead letters: what becomes of them holds up nothing."""
        self._unfit: dict[int, tuple[datetime, list[Discrepancy]]] = {}
        """Shard -> what was seen, and when."""
        self._unread_told: dict[Place, int] = {}

    async def fitting(self, shards: Sequence[Shard]) -> list[Shard]:
        """Which of these, just claimed, may be served. Of those the cursors say from now on in which topics they count,
        and what retention took unread is behind them. Raises Outage and Fenced."""
        if not shards:
            return []
        claims = [shard.claim for shard in shards]
        logs = await self.source.logs([claim.shard for claim in claims])
        wrong = {claim.shard: [*self._of_logs(claim, logs, {})] for claim in claims}
        fit = [claim for claim in claims if not wrong[claim.shard]]
        # Where outsiders write, a number says nothing: they may write what they like.
        accountable = SERVICES_WRITE.intersection(self.outputs)
        known = {place: said for place, said in (await self.store.said(fit)).items() if place[0] in accountable}
        sources = {claim.shard: codec.source_of(self.service, claim.shard) for claim in fit}
        theirs = {place: found for place, found in logs.items() if found and place[1] in sources}
        said = await self.source.said(sources, known, theirs)
        wrong |= {claim.shard: [*of_outputs(claim, theirs, known, said)] for claim in fit}
        self._tell(wrong)
        for shard in (served := [shard for shard in shards if not wrong[shard.claim.shard]]):
            await self._adopt(shard, theirs)
        return served

    async def _adopt(self, shard: Shard, logs: Mapping[Place, Log]) -> None:
        claim = shard.claim
        before = _copied(claim.cursors)
        for topic in self.topics:
            cursor, found = claim.cursors.setdefault(topic, Cursor()), logs[topic, claim.shard]
            self._tell_unread(claim.shard, topic, cursor, found)
            cursor.offset, cursor.topic_id = max(cursor.offset, found.begin), found.topic_id
        shard.outputs = {topic: logs[topic, claim.shard].topic_id for topic in self.outputs}
        moved = [
            (claim.shard, topic, cursor)
            for topic, cursor in claim.cursors.items()
            if cursor.offset and cursor != before.get(topic)
        ]
        if moved:
            await self.store.commit(
                Commit(claims=[claim], cursors=moved, marks=[], inputs=[], events=[], parked=[], released=[])
            )

    async def look(self, shards: Sequence[Shard]) -> list[Shard]:
        """Which of these, that are served, must not be any more. Raises Outage."""
        # As they stand now: until the broker has answered they may have moved beyond the ends that it tells.
        claims = [replace(shard.claim, cursors=_copied(shard.claim.cursors)) for shard in shards]
        logs = await self.source.logs([claim.shard for claim in claims])
        wrong = {}
        for shard, claim in zip(shards, claims, strict=True):
            discrepancies = [one for one in self._of_logs(claim, logs, shard.outputs) if one.recipe != NO_LEADER]
            if discrepancies:  # a log that changes its leader is waited for where it is read
                wrong[claim.shard] = discrepancies
            else:
                for topic in self.topics:
                    self._tell_unread(claim.shard, topic, claim.cursors[topic], logs[topic, claim.shard])
        if wrong:
            self._tell(wrong)
        return [shard for shard in shards if shard.claim.shard in wrong]

    def due(self) -> list[int]:
        """Shards that did not fit, to be looked at again."""
        before = self.clock() - COMPARED_AGAIN_AFTER
        return [number for number, (seen_at, _) in self._unfit.items() if seen_at <= before]

    def forget(self, number: int) -> None:
        """It is somebody else's matter now."""
        self._tell({number: []})

    def _of_logs(self, claim: Claim, logs: Mapping[Place, Log | None], ids: Mapping[str, str]) -> Iterator[Discrepancy]:
        yield from of_inputs(claim, self.topics, logs)
        for topic in self.outputs:
            found = logs.get((topic, claim.shard))
            if (topic, claim.shard) in logs and found is None:
                yield unled(f"{topic}/{claim.shard}")
            elif found is None or ids.get(topic, found.topic_id) != found.topic_id:
                yield another(topic, found)

    def _tell(self, wrong: Mapping[int, list[Discrepancy]]) -> None:
        now = self.clock()
        for number, discrepancies in wrong.items():
            self._unfit.pop(number, None)
            if discrepancies:
                self._unfit[number] = now, discrepancies
        known = {one.place: one for _, discrepancies in self._unfit.values() for one in discrepancies}
        for one in known.values():
            self.problems.begin(f"{KIND}{one.place}", one.sentence, one.recipe)
        self.problems.keep(KIND, {f"{KIND}{place}" for place in known})

    def _tell_unread(self, shard: int, topic: str, cursor: Cursor, found: Log | None) -> None:
        """Of a topic that is not kept for ever: it is lost, but what comes after it need not wait."""
        if found and cursor.offset < found.begin != self._unread_told.get((topic, shard)):
            self._unread_told[topic, shard] = found.begin
            one = unread(shard, topic, cursor, found)
            log.critical(one.sentence, extra={"place": one.place, "recipe": Problem(one.sentence, one.recipe).page})
