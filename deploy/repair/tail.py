"""What lies on the bus beyond where a database stands: unread records of each input log, and what was said of them."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate

from pydantic_core import from_json

from schemas.instants import from_ms, to_ms
from schemas.timer.events import Elapsed
from schemas.topics import OUTSIDERS_WRITE
from schemas.wire import Command, Message
from shared.kernel import codec
from shared.kernel.codec import Decoded, Decoder
from shared.kernel.decider import RefusedOnArrival
from shared.kernel.envelope import DeadLetter
from shared.kernel.ports import Claim, Cursor, Input, Record, StoredEvent
from shared.kernel.stream import asked

DEAD_LETTER = "dead-letter"
TOLD_SINCE = frozenset({"deadlines"})
"""Fields by which nobody decides, that earlier versions did not tell: without them a message is the same."""


@dataclass(frozen=True, slots=True)
class Said:
    """A published message of the shard, as it lies on the bus."""

    sequence: int
    record: Record
    type: str
    id: str = ""
    causation_id: str = ""
    stream_id: str | None = None
    """As far as the record tells: a stream may write under another's key. None: a dead letter."""
    of: tuple[str, int] | None = None
    """(topic, offset) of the record that a dead letter was made of."""

    def is_what(self, event: StoredEvent) -> bool:
        """Whether this very message was decided on now, though it may have told less of the same."""
        mine = (self.record.topic, self.record.partition)
        if (event.topic, event.partition) != mine or event.type != self.type or not self._tells(event.data):
            return False
        known = self.of is not None or (event.id, event.causation_id) == (self.id, self.causation_id)
        return known and event.time == self.time

    def _tells(self, data: bytes | None) -> bool:
        value = self.record.value
        if data == value or self.of is not None or not data or not value:
            return data == value
        try:
            now, then = from_json(data), from_json(value)
        except ValueError:
            return False  # nothing of ours
        if not (isinstance(now, dict) and isinstance(then, dict)):
            return False
        return {name: told for name, told in now.items() if name in then or name not in TOLD_SINCE} == then

    @property
    def time(self) -> int:
        """Of the input that caused it, ms."""
        if self.of is not None:
            return int(codec.header(self.record.headers, "kafka_dlt-original-timestamp") or 0)
        return to_ms(datetime.fromisoformat(codec.header(self.record.headers, "ce_time") or ""))

    def stored(self, claim: Claim, stream_id: str | None, found: Input | None) -> StoredEvent:
        """As a row that follows on what the shard has. `found`: the input that brought it about, if there is one."""
        headers = self.record.headers
        dead = self.of is not None
        stream_id = None if dead else stream_id
        command = found.payload if found is not None and found.digest is not None else None
        answers = found if isinstance(command, Command | RefusedOnArrival) else None
        key = None if stream_id is not None and self.record.key == stream_id.encode() else self.record.key
        return StoredEvent(
            shard=claim.shard,
            position=claim.position + 1,
            sequence=self.sequence,
            topic=self.record.topic,
            partition=self.record.partition,
            key=key,
            stream_id=stream_id,
            type=self.type,
            time=self.time,
            id=None if dead else self.id,
            causation_id=None if dead else self.causation_id,
            correlation_id=None if dead else codec.header(headers, "ce_correlationid"),
            command_id=answers.id if answers is not None else None,
            digest=answers.digest if answers is not None else None,
            asked=_asked(answers) if answers is not None else None,
            traceparent=None if dead else codec.header(headers, "traceparent"),
            headers=list(headers) if dead else None,
            data=self.record.value,
            message=None if dead else Message.MODELS[self.type].read(self.record.value or b""),
        )


def _asked(found: Input) -> bytes:
    assert isinstance(found.payload, Command | RefusedOnArrival)
    return asked(found.stream_id, found.payload.actor, found.id)


def said_by(source: str, records: Iterable[Record], after: int) -> dict[int, Said]:
    """By number: what this source has said beyond `after`. Where outsiders may write a number proves nothing, so one
    that stands elsewhere, too, is believed there."""
    found: dict[int, Said] = {}
    for record in records:
        said = _said(record)
        if said is None or said[0] != source or said[1].sequence <= after:
            continue
        known = found.get(said[1].sequence)
        if known is None or (known.record.topic in OUTSIDERS_WRITE and record.topic not in OUTSIDERS_WRITE):
            found[said[1].sequence] = said[1]
    return found


def last_of(said: Mapping[int, Said], sequence: int) -> int:
    """The highest number that is on the bus. Where outsiders write one proves nothing, unless it follows on others."""
    last = max([sequence, *(number for number, one in said.items() if one.record.topic not in OUTSIDERS_WRITE)])
    while last + 1 in said:
        last += 1
    return last


def _said(record: Record) -> tuple[str, Said] | None:
    """(source, what it says), of a record that has both."""
    numbered = codec.numbered(record)
    if numbered is None:
        return None
    source, number = numbered
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    if record.topic.endswith(".dead-letters"):
        of = headers["kafka_dlt-original-topic"], int(headers["kafka_dlt-original-offset"])
        return source, Said(number, record, DEAD_LETTER, of=of)
    subject = headers.get("ce_subject") or (record.key or b"").decode(errors="replace")
    type_, id_, cause = (headers.get(f"ce_{name}", "") for name in ("type", "id", "causationid"))
    return source, Said(number, record, type_, id_, cause, subject)


@dataclass(frozen=True, slots=True, eq=False)
class Unread:
    """One record that the shard has not read, decoded as the loop would have, in the order of its log."""

    record: Record
    number: int
    """Place among the unread of its log."""
    cursor: Cursor
    """Where the shard stands in the log once this is read."""
    found: Input | DeadLetter | None
    """None: nothing for this service, or heard before."""
    mark: tuple[tuple[str, str], int] | None = None

    @property
    def stream_id(self) -> str | None:
        return self.found.stream_id if isinstance(self.found, Input) else None


def unread(decoder: Decoder, claim: Claim, topic: str, records: Sequence[Record]) -> list[Unread]:
    """Of one log of the shard, what lies from its cursor on."""
    cursor, marks = claim.cursors.get(topic, Cursor()), dict(claim.marks)
    tail: list[Unread] = []
    for record in records:
        if record.offset < cursor.offset:
            continue
        cursor = replace(cursor, offset=record.offset + 1, time=max(cursor.time, record.timestamp))
        record = replace(record, timestamp=cursor.time)
        decoded = decoder.decode(record, from_ms(cursor.time))
        found = decoded.input if isinstance(decoded, Decoded) else decoded
        mark = None
        if isinstance(decoded, Decoded) and decoded.source is not None and decoded.sequence is not None:
            place = (topic, decoded.source)
            if decoded.sequence <= marks.get(place, 0):
                found = None
            else:
                marks[place] = decoded.sequence
                mark = (place, decoded.sequence)
        tail.append(Unread(record, len(tail), cursor, found, mark))
    return tail


@dataclass
class UnreadLog:
    """The unread of one input log, and how far they are taken."""

    topic: str
    entries: list[Unread]
    taken: int = 0
    speaking: list[int] = field(default_factory=list)
    """Places of those that are known to have said something that is still to come."""
    by_stream: dict[str, list[int]] = field(default_factory=dict)
    behind: list[int] = field(default_factory=list)
    """By place: the highest of our own numbers upon which something followed that lies there, or before it. Until that
    is said it was not heard, whatever its append time says."""

    def __post_init__(self) -> None:
        for entry in self.entries:
            if entry.stream_id is not None:
                self.by_stream.setdefault(entry.stream_id, []).append(entry.number)

    def follows(self, numbers: Mapping[str, int]) -> None:
        """`numbers`: of what we have said, by its id, and of an alarm by what it will ring as (`alarm`)."""
        causes = (_cause(entry.record) for entry in self.entries)
        self.behind = list(accumulate((numbers.get(cause, 0) for cause in causes), max))

    def speaks(self, entry: Unread) -> None:
        """It said something that is still to come: who comes behind it waits until then."""
        if entry.number not in self.speaking:
            insort(self.speaking, entry.number)

    def reachable(self, stream_id: str) -> list[Unread]:
        """The stream's next ones, up to where another stream has its turn first."""
        waiting = self.speaking[bisect_left(self.speaking, self.taken) :]
        end = next((n for n in waiting if self.entries[n].stream_id != stream_id), len(self.entries))
        mine = self.by_stream.get(stream_id, [])
        return [self.entries[n] for n in mine[bisect_left(mine, self.taken) : bisect_left(mine, end)]]


def alarm(asked_or_rung: bytes | None) -> str:
    """By what a bell is known to be that of an alarm: the timer, and the instant that was asked for. Anybody may write
    bells: one that cannot be read is none's."""
    try:
        about = from_json(asked_or_rung or b"")
    except ValueError:
        return ""
    return f"{about.get('timer_id')}@{about.get('due_at')}" if isinstance(about, dict) else ""


def _cause(record: Record) -> str:
    """As it says itself; of a bell, which names none of ours, the alarm."""
    if codec.header(record.headers, "ce_type") == Elapsed.type:
        return alarm(record.value)
    return codec.header(record.headers, "ce_causationid") or ""


def by_id(logs: Mapping[str, UnreadLog]) -> dict[str, list[tuple[UnreadLog, Unread]]]:
    """Input id -> where it lies; a command that was repeated more than once."""
    found: dict[str, list[tuple[UnreadLog, Unread]]] = {}
    for log in logs.values():
        for entry in log.entries:
            if isinstance(entry.found, Input):
                found.setdefault(entry.found.id, []).append((log, entry))
    return found


def as_heard(logs: Mapping[str, UnreadLog], said: Iterable[Said]) -> None:
    """An event that was published again (docs/OPERATIONS.md, Disaster) lies behind where it was heard: when that was
    stands on what it brought about."""
    lies = by_id(logs)
    for one in said:
        if one.record.topic in OUTSIDERS_WRITE:
            continue
        match lies.get(one.causation_id):
            case [(log, Unread(found=Input(digest=None) as found) as entry)] if to_ms(found.time) != one.time:
                log.entries[entry.number] = replace(entry, found=replace(found, time=from_ms(one.time)))
