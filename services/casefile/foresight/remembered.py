"""One order as each service has it, from what lies in the topics alone.

A service folds its own events, and some of those it says to nobody. They follow from what it heard and from when its
time ran out, so they are brought about again by the very decider that said them: what it said aloud is taken as it
lies there, what it kept to itself is decided anew.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from schemas.instants import EPOCH, from_ms
from schemas.topics import OUTSIDERS_WRITE
from schemas.wire import Event, Message, PrivateEvent, Reply
from shared.kernel.codec import Decoded, Decoder, header
from shared.kernel.decider import Deadline, Decider, Output
from shared.kernel.policies import Policies
from shared.kernel.ports import Input, Record
from shared.kernel.stream import DEADLINES_AT_ONCE_MAX, Stream, refold


def anywhere(key: bytes) -> int:
    """A stream's records are looked at wherever they lie."""
    return 0


@cache
def decoder_of(decider: Decider[Any, Any, Any]) -> Decoder:
    return Decoder(decider, anywhere)


def in_order(records: Iterable[Record]) -> list[Record]:
    """As they were said, each once: every topic in its own order, and nothing before what brought it about. What
    outsiders write is told apart by its place: of two records of theirs under one id each may count."""
    logs: dict[str, deque[Record]] = {}
    for record in sorted(records, key=lambda one: (one.topic, one.partition, one.offset)):
        logs.setdefault(record.topic, deque()).append(record)
    ids = (header(record.headers, "ce_id") for log in logs.values() for record in log)
    to_come = Counter(id_ for id_ in ids if id_ is not None)
    ordered: dict[object, Record] = {}
    while logs:
        heads = sorted(logs, key=lambda topic: (logs[topic][0].timestamp, topic))
        ready = (topic for topic in heads if not to_come[header(logs[topic][0].headers, "ce_causationid") or ""])
        topic = next(ready, heads[0])
        record = logs[topic].popleft()
        if not logs[topic]:
            del logs[topic]
        if (id_ := header(record.headers, "ce_id")) is not None:
            to_come[id_] -= 1
        place = (record.topic, record.partition, record.offset)
        ordered.setdefault(place if id_ is None or record.topic in OUTSIDERS_WRITE else id_, record)
    return list(ordered.values())


class Remembered:
    """A stream of one service. Its records are given in the order of their append times; each once."""

    def __init__(self, decider: Decider[Any, Any, Any], stream_id: str, policies: Policies) -> None:
        self.decider, self.policies = decider, policies
        self.stream: Stream[Any] = Stream(stream_id)
        self.private: list[tuple[datetime, PrivateEvent]] = []
        """What it said to nobody, and when, in order."""
        self._decoder = decoder_of(decider)
        self._heard: deque[Input] = deque()
        """What other services said and no word of ours has followed upon yet."""
        self._following: deque[Output] = deque()
        """What was decided with the word of ours that came last, behind it, …"""
        self._followed_at = EPOCH
        """… and when that was."""
        self._spoke_at = EPOCH

    def fork(self) -> "Remembered":
        """The same, of which what is taken further leaves no trace here."""
        forked = copy(self)
        forked.part()
        return forked

    def part(self) -> None:
        """Nothing that changes is shared with what it was copied from."""
        self.stream, self.private = replace(self.stream), list(self.private)
        self._heard, self._following = deque(self._heard), deque(self._following)

    def take(self, record: Record) -> None:
        """What concerns this service of it; the rest is passed over."""
        type_ = header(record.headers, "ce_type") or ""
        if record.topic == f"{self.decider.service}.events":
            model = Message.MODELS.get(type_)
            if model is not None and model.topic == record.topic and not issubclass(model, Reply):
                self._own(record, model.read(record.value or b""))
            return
        if record.topic not in self._decoder.topics:
            return
        if record.topic not in OUTSIDERS_WRITE and (record.topic, type_) not in self._decoder.heard:
            return  # what outsiders write may say its type within
        found = self._decoder.decode(record, from_ms(record.timestamp))
        if isinstance(found, Decoded) and not found.input.own:
            self._heard.append(found.input)

    def until(self, now: datetime) -> Stream[Any]:
        """As it stands when everything is heard that was said, and every clock has run out that did."""
        self._hear_quietly(now)
        for found in [one for one in self._heard if one.time <= self._spoke_at]:
            self._heard.remove(found)  # of one moment with our word, which was said knowing it
            self._fold(self._reaction(found), found.time)
        self._pass_quietly(now)
        return self.stream

    def _own(self, record: Record, event: Message) -> None:
        cause = header(record.headers, "ce_causationid") or ""
        time = datetime.fromisoformat(header(record.headers, "ce_time") or "")
        if not self._following:
            self._bring_about(cause, time)
        refold(self.decider, self.stream, event, header(record.headers, "ce_correlationid") or "")
        self._spoke_at = from_ms(record.timestamp)
        self._drop_spoken()
        self._fold_private()

    def _bring_about(self, cause: str, time: datetime) -> None:
        """What was decided before and with this word of ours, up to it."""
        self._followed_at = time
        if any(found.id == cause for found in self._heard):
            while self._heard[0].id != cause:
                self._hear(self._heard.popleft())
            self._following.extend(self._reaction(self._heard.popleft()))
        else:
            self._hear_quietly(time)
            self._pass_quietly(time)
            deadline = self.decider.earliest(self.stream.state)
            if deadline is not None and cause == self._name(deadline):
                self._following.extend(self._expiry(deadline, time))
        self._fold_private()

    def _hear_quietly(self, until: datetime) -> None:
        """Whatever was said by then that we answer with no word aloud; what we do answer waits for that word."""
        waiting: deque[Input] = deque()
        for found in self._heard:
            said = self._reaction(found) if found.time <= until else None
            if said is None or any(is_aloud(output) for output in said):
                waiting.append(found)
            else:
                self._fold(said, found.time)
        self._heard = waiting

    def _hear(self, found: Input) -> None:
        said = self._reaction(found)
        if any(is_aloud(output) for output in said):
            self._following.clear()
        self._fold((output for output in said if not is_aloud(output)), found.time)

    def _pass_quietly(self, until: datetime) -> None:
        for _ in range(DEADLINES_AT_ONCE_MAX):
            deadline = self.decider.earliest(self.stream.state)
            if deadline is None or deadline.due_at >= until:
                return
            said = self._expiry(deadline, until)
            if any(is_aloud(output) for output in said):
                return
            self._fold(said, deadline.due_at)

    def _reaction(self, found: Input) -> Sequence[Output]:
        payload = self.decider.identify(found)
        return self.decider.react(self.stream.state, payload, found.time, self.policies)

    def _expiry(self, deadline: Deadline[str], time: datetime) -> Sequence[Output]:
        return self.decider.expire(self.stream.state, deadline, time, self.policies)

    def _name(self, deadline: Deadline[str]) -> str:
        return f"{self.decider.service}/{deadline.subject}/{deadline.name}"

    def _drop_spoken(self) -> None:
        if self._following:
            self._following.popleft()

    def _fold_private(self) -> None:
        """Up to the next word that is said aloud, and to nothing where none follows."""
        while self._following and not is_aloud(self._following[0]):
            self._fold([self._following.popleft()], self._followed_at)

    def _fold(self, said: Iterable[Output], at: datetime) -> None:
        for output in said:
            if isinstance(output, PrivateEvent):
                event = output.model_copy(update={"order_id": self.stream.id})
                self.private.append((at, event))
                refold(self.decider, self.stream, event)


def is_aloud(output: Output) -> bool:
    return isinstance(output, Event) and not isinstance(output, PrivateEvent | Reply)
