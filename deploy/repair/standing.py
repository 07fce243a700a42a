"""Where a shard stands while it is replayed: its claim, its streams, and what has been kept so far."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deploy.repair.tail import Said, Unread, UnreadLog, last_of
from schemas.wire import Command, Message
from shared.kernel.decider import Decider, RefusedOnArrival
from shared.kernel.envelope import DeadLetter
from shared.kernel.policies import Policies
from shared.kernel.ports import Claim, Home, Input, Store, StoredEvent
from shared.kernel.stream import Answers, OutgoingMessage, Stream, Withheld, asked, fold, handle, learn, refold
from shared.runtime.batch import Batch, Shard

COMMIT_EVENTS = 1_000
LOAD_STREAMS = 500

Step = tuple[UnreadLog, Unread, Sequence[OutgoingMessage] | None]
"""A record, and what it brings about; None: nothing is decided of it."""


@dataclass
class Outcome:
    """What one shard's replay came to."""

    shard: int
    decided: int = 0
    """Messages decided again, the same as they were said."""
    taken: int = 0
    """Messages taken as they were said, for no record brings them about."""
    unsent: int = 0
    """Messages decided that are not on the bus: the service publishes them."""
    withheld: dict[str, str] = field(default_factory=dict)
    """Stream -> why nothing more is decided of it."""
    missing: list[int] = field(default_factory=list)
    """Numbers that are neither on the bus nor brought about by what is left of the inputs."""


@dataclass(frozen=True, slots=True)
class KnownStream:
    """A stream, and which of its commands were answered."""

    stream: Stream[Any]
    answers: Answers = field(default_factory=dict)


class Standing:
    """What is kept goes through the very batch and commit of the shard loop."""

    def __init__(
        self,
        decider: Decider[Any, Any, Any],
        policies: Policies,
        home: Home,
        store: Store,
        claim: Claim,
        said: Mapping[int, Said],
    ) -> None:
        """`said`: by number, what is on the bus, at least from the first that is not known to be published."""
        self.decider, self.policies, self.home, self.store = decider, policies, home, store
        self.said, self.last = said, last_of(said, claim.sequence)
        self.shard = Shard(claim)
        self.batch = Batch(decider.service, home)
        self.known: dict[str, KnownStream] = {}
        self.outcome = Outcome(claim.shard)
        self.silenced: set[tuple[str, int]] = set()
        """(topic, offset) of what may be passed, whatever it says now."""
        self.heard: set[tuple[str, int]] = set()
        """(topic, offset) of what was handled: its answer is on the bus."""
        self._answered: set[tuple[str, str]] = set()

    @property
    def claim(self) -> Claim:
        return self.batch.claim(self.shard)

    async def load(self, logs: Collection[UnreadLog]) -> None:
        """Every stream that is touched, folded."""
        if self.decider.is_stateless:
            return
        touched = {entry.stream_id for log in logs for entry in log.entries}
        wanted = sorted({one for one in (*touched, *(one.stream_id for one in self.said.values())) if one is not None})
        for at in range(0, len(wanted), LOAD_STREAMS):
            places = [(self.shard.claim.shard, stream_id) for stream_id in wanted[at : at + LOAD_STREAMS]]
            stored = await self.store.load(places)
            for place in places:
                known = KnownStream(Stream(place[1]))
                try:
                    fold(self.decider, known.stream, stored.get(place, []))
                    self.known[place[1]] = known
                except Exception as bug:  # whatever its fold raises: a person looks at this one, the others go on
                    self.diverges(place[1], f"it cannot be read: {type(bug).__name__}")

        await self._look_up([entry.found for log in logs for entry in log.entries if isinstance(entry.found, Input)])

    async def _look_up(self, inputs: Sequence[Input]) -> None:
        """Which of their commands were answered before."""
        shard = self.shard.claim.shard
        commands = {
            asked(found.stream_id, found.payload.actor, found.id): found
            for found in inputs
            if isinstance(found.payload, Command | RefusedOnArrival) and found.digest is not None
        }
        wanted = [(shard, key, found.digest or b"") for key, found in commands.items()]
        for at in range(0, len(wanted), LOAD_STREAMS):
            for first in await self.store.answered(wanted[at : at + LOAD_STREAMS]):
                if first.asked is not None:
                    learn(self.of(commands[first.asked].stream_id).answers, first)

    async def look_at_unpublished(self) -> None:
        """What was committed and perhaps not published, before the first number that is decided again."""
        claim = replace(self.claim)
        while events := await self.store.unpublished(claim, COMMIT_EVENTS):
            for event in events:
                if event.sequence not in self.said:
                    self.claim.published, self.outcome.unsent = event.position - 1, 1
                    return
            claim.published = events[-1].position

    async def commit(self) -> None:
        claim = self.claim
        if claim == self.shard.claim:
            return
        if not self.outcome.unsent:
            claim.published = claim.position
        await self.store.commit(self.batch.commit())
        self.shard.claim, self.batch = claim, Batch(self.decider.service, self.home)

    def of(self, stream_id: str) -> KnownStream:
        return (
            KnownStream(Stream(stream_id))
            if self.decider.is_stateless
            else self.known.setdefault(stream_id, KnownStream(Stream(stream_id)))
        )

    def tried(self, known: KnownStream, entry: Unread) -> tuple[KnownStream, list[OutgoingMessage] | None]:
        """What the record would bring about, and the stream after it; None: it raises."""
        assert isinstance(entry.found, Input)
        if self.decider.is_stateless:
            known = KnownStream(Stream(known.stream.id))
        after = KnownStream(replace(known.stream), dict(known.answers))
        try:
            return after, handle(self.decider, after.stream, entry.found, self.policies, after.answers)
        except Exception:  # where the loop would park it: so it is taken for one that says nothing
            return known, None

    def stands(self, stream_id: str) -> bool:
        """Nothing is decided of it any more."""
        return stream_id in self.outcome.withheld or stream_id in self.claim.parked

    def take(self, steps: Sequence[Step]) -> None:
        for log, entry, outgoing in steps:
            claim = self.claim
            claim.cursors[log.topic] = replace(entry.cursor)
            if entry.mark is not None:
                claim.marks[entry.mark[0]] = entry.mark[1]
            log.taken = entry.number + 1
            match entry.found:
                case DeadLetter() as letter if (log.topic, entry.record.offset) not in self.silenced:
                    self.batch.dead_letter(self.shard, entry.record, letter)
                    self._count(self.batch.events[-1:])
                case Input() as found if outgoing is not None:
                    before = len(self.batch.events)
                    self.batch.store(self.shard, found, outgoing)
                    self.known[found.stream_id], _ = self.tried(self.of(found.stream_id), entry)
                    self._count(self.batch.events[before:])
                case Input() as found if (log.topic, entry.record.offset) not in self.heard:
                    self.batch.park(self.shard, found, entry.record)

    def _count(self, events: Iterable[StoredEvent]) -> None:
        for event in events:
            if (said := self.said.get(event.sequence or 0)) is not None:
                event.data = said.record.value  # as readers have it: an earlier version may have told less
                self.outcome.decided += 1
            elif event.topic is not None:
                if not self.outcome.unsent:
                    self.claim.published = event.position - 1
                self.outcome.unsent += 1

    def adopt(self, said: Said, stream_id: str | None, found: Input | None) -> None:
        """What was said is so, whatever brought it about."""
        claim = self.claim
        answers = found if found is not None and (found.type, found.id) not in self._answered else None
        if answers is not None and said.record.topic.endswith(".events"):
            self._answered.add((answers.type, answers.id))
        event = said.stored(claim, stream_id, answers)
        self.batch.events.append(event)
        claim.position, claim.sequence = event.position, said.sequence
        self.outcome.taken += 1
        if stream_id is not None and stream_id not in self.outcome.withheld:
            assert isinstance(event.message, Message)
            refold(self.decider, self.of(stream_id).stream, event.message, event.correlation_id or "")

    def diverges(self, stream_id: str, why: str) -> None:
        if not self.decider.is_stateless:
            self.outcome.withheld.setdefault(stream_id, why)

    def withhold(self, stream_id: str, why: str) -> None:
        """As the last of its events: it is folded no more."""
        claim = self.claim
        claim.position += 1
        marker = Withheld(order_id=stream_id, why=why)
        self.batch.events.append(
            StoredEvent(
                shard=claim.shard,
                position=claim.position,
                sequence=None,
                topic=None,
                partition=claim.shard,
                key=None,
                stream_id=stream_id,
                type=Withheld.type,
                time=max((cursor.time for cursor in claim.cursors.values()), default=0),
                data=marker.model_dump_json().encode(),
                message=marker,
            )
        )


def published(outgoing: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
    return [one for one in outgoing if one.topic is not None]
