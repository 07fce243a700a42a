"""The bus is newer than the database: what the shard said beyond it is decided once more, and compared.

The bus is the oracle of how topics interleaved. The number that the shard said next says which unread record had its
turn: the one that now brings about that very message, id by id and byte by byte. Before it, by their append times, come
the records of the same stream that say nothing on the bus. What no record brings about (a bell, a letter that was sent)
is taken as it was said. Nothing is sent: what is not on the bus is published by the service, which goes on from there.

Where deciding gives another answer, what was said stands: the stream gets it as it lies on the bus, its silent records
wait, and nothing more is decided of it until a person has looked (`Withheld`). All others go on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from deploy.repair.standing import COMMIT_EVENTS, KnownStream, Outcome, Standing, Step, published
from deploy.repair.tail import Said, Unread, UnreadLog, alarm, as_heard, by_id
from schemas.timer.commands import Schedule
from shared.kernel.envelope import DeadLetter
from shared.kernel.ports import Input
from shared.kernel.stream import OutgoingMessage
from shared.runtime.batch import Batch


class _Blocked(Exception):
    """A record cannot be passed yet: it says something."""

    def __init__(self, log: UnreadLog, entry: Unread) -> None:
        self.log, self.entry = log, entry


class Replay:
    """Of one shard."""

    def __init__(self, now: Standing, logs: Iterable[UnreadLog]) -> None:
        self.now, self.decider = now, now.decider
        self.logs = {log.topic: log for log in logs}
        self.said, self.numbers = now.said, {one.id: number for number, one in now.said.items() if one.id}
        as_heard(self.logs, now.said.values())
        self._causes = by_id(self.logs)
        alarms = ((alarm(one.record.value), number) for number, one in now.said.items() if one.type == Schedule.type)
        followed = self.numbers | dict(sorted(alarms, reverse=True))  # of one asked for twice, the first
        for one_log in self.logs.values():
            one_log.follows(followed)
        for one in now.said.values():
            log, entry = self._cause(one)
            if log is not None and entry is not None and one.sequence > now.claim.sequence:
                log.speaks(entry)
                if one.of is None:
                    now.heard.add((entry.record.topic, entry.record.offset))

    async def run(self) -> Outcome:
        await self.now.load(self.logs.values())
        await self.now.look_at_unpublished()
        while self.now.claim.sequence < self.now.last:
            number = self.now.claim.sequence + 1
            if number in self.said:
                self._next(self.said[number])
            else:
                self._fill(number)
            if len(self.now.batch.events) >= COMMIT_EVENTS:
                await self.now.commit()
        for stream_id, why in self.now.outcome.withheld.items():
            self.now.withhold(stream_id, why)
        await self.now.commit()
        return self.now.outcome

    # -- one number ----------------------------------------------------------------------------------------------------

    def _next(self, said: Said) -> None:
        log, entry = self._cause(said)
        stream_id = entry.stream_id if entry is not None else said.stream_id
        if stream_id is not None and stream_id not in self.now.outcome.withheld:
            if stream_id in self.now.claim.parked:
                self.now.diverges(stream_id, "it was parked, and has said more since")
            elif self._decide(said, stream_id):
                return
            elif log is None and self.decider.own_inputs:
                self._hear(said, stream_id)
            else:
                self.now.diverges(
                    stream_id, f"number {said.sequence}, {said.type}, is not what its inputs bring about now"
                )
        if log is not None and entry is not None and entry.number >= log.taken:
            self._pass([(log, entry)])
        if self.now.claim.sequence < said.sequence:
            found = entry.found if entry is not None and isinstance(entry.found, Input) else None
            self.now.adopt(said, stream_id, found)

    def _cause(self, said: Said) -> tuple[UnreadLog, Unread] | tuple[None, None]:
        """The record that can have brought it about, by its id or its place, the first of them that is unread."""
        if said.of is not None:
            log = self.logs.get(said.of[0])
            causes = [(log, one) for one in log.entries if one.record.offset == said.of[1]] if log else []
        else:
            causes = self._causes.get(said.causation_id, [])
        unread = [(log, one) for log, one in causes if one.number >= log.taken]
        return unread[0] if unread else causes[-1] if causes else (None, None)

    def _decide(self, said: Said, stream_id: str) -> bool:
        """Whether the stream's next records, in some order of their topics, bring it about; then they are taken."""
        while True:
            for records in self._orders(said, stream_id):
                path = self._path(said.sequence, stream_id, records)
                if path is not None:
                    if self._pass(path):
                        return True
                    break
            else:
                return False

    def _pass(self, path: Sequence[tuple[UnreadLog, Unread]]) -> bool:
        """Takes it with all that lies before it in its logs; False if that cannot be, for something there has its turn
        later. Where it lies before the last, which had its turn, it was passed in silence: then, if it says something
        now, nothing more is decided of its stream."""
        while True:
            try:
                steps = self._planned(path)
            except _Blocked as blocked:
                if blocked.log is not path[-1][0]:
                    blocked.log.speaks(blocked.entry)
                    return False
                place = blocked.entry.record
                self.now.silenced.add((place.topic, place.offset))
                if blocked.entry.stream_id is not None:
                    where = f"{place.topic}/{place.partition}/{place.offset}"
                    self.now.diverges(blocked.entry.stream_id, f"{where} brings something about now and did not")
            else:
                self.now.take(steps)
                return True

    def _orders(self, said: Said, stream_id: str) -> Iterator[list[tuple[UnreadLog, Unread]]]:
        """In which they may have had their turns: by append time; the topic that has its cause first; that one last.
        What came later than what was said of it had none, unless the broker's clock went back."""
        of, _ = self._cause(said)
        own = of or self.logs.get(f"{self.decider.service}.commands")
        reachable = self._by_time(stream_id)
        in_time = [place for place in reachable if place[1].record.timestamp <= said.record.timestamp]
        for some in (in_time, reachable):
            yield some
            yield sorted(some, key=lambda place: place[0] is not own)
            yield sorted(some, key=lambda place: place[0] is own)

    def _by_time(self, stream_id: str) -> list[tuple[UnreadLog, Unread]]:
        reachable = [
            (log, entry)
            for log in self.logs.values()
            for entry in log.reachable(stream_id)
            if log.behind[entry.number] <= self.now.claim.sequence
        ]
        return sorted(reachable, key=lambda place: place[1].record.timestamp)

    def _path(
        self, number: int, stream_id: str, records: Iterable[tuple[UnreadLog, Unread]]
    ) -> list[tuple[UnreadLog, Unread]] | None:
        """Those of them that have their turn up to the one that says this number; None if none does. One that says
        something else has its turn later, and all behind it in its log."""
        path: list[tuple[UnreadLog, Unread]] = []
        stream, later = self.now.of(stream_id), set[str]()
        cause = self.said[number].causation_id if number in self.said else ""
        for log, entry in records:
            if log.topic in later:
                continue
            after, outgoing = self.now.tried(stream, entry)
            assert isinstance(entry.found, Input)
            waits = entry.number in log.speaking and entry.found.id != cause
            silent = outgoing is not None and not published(outgoing)
            if silent and not waits:
                path.append((log, entry))
                stream = after
            elif outgoing and not silent and self._is_said(number, entry, outgoing):
                return [*path, (log, entry)]
            else:
                later.add(log.topic)
        return None

    def _hear(self, said: Said, stream_id: str) -> None:
        """What the stream had heard when something was said that no record brought about."""
        while True:
            try:
                self.now.take(self._planned(self._silent(said, stream_id)))
            except _Blocked as blocked:
                blocked.log.speaks(blocked.entry)
            else:
                return

    def _silent(self, said: Said, stream_id: str) -> list[tuple[UnreadLog, Unread]]:
        path: list[tuple[UnreadLog, Unread]] = []
        stream, later = self.now.of(stream_id), set[str]()
        for log, entry in next(self._orders(said, stream_id)):
            after, outgoing = self.now.tried(stream, entry)
            if outgoing is None or published(outgoing) or entry.number in log.speaking:
                later.add(log.topic)
            if log.topic not in later:
                path.append((log, entry))
                stream = after
        return path

    def _fill(self, number: int) -> None:
        """A number that is not on the bus: it was to be published when the service stopped, or is past its retention.
        The earliest record that says something that is nowhere, and fits, has its turn."""
        fitting: list[list[Step]] = []
        for log in self.logs.values():
            first = self._first_to_speak(log)
            path: Sequence[tuple[UnreadLog, Unread]] | None = [(log, first)] if first is not None else None
            if first is not None and first.stream_id is not None:
                path = self._path(number, first.stream_id, self._by_time(first.stream_id))
            if path:
                with suppress(_Blocked):
                    fitting.append(self._planned(path))
        if fitting:
            self.now.take(min(fitting, key=lambda steps: steps[-1][1].record.timestamp))
        else:
            self.now.outcome.missing.append(number)
            self.now.claim.sequence = number

    def _first_to_speak(self, log: UnreadLog) -> Unread | None:
        """Whose turn is next there, as it stands."""
        streams: dict[str, KnownStream] = {}
        for entry in log.entries[log.taken :]:
            if isinstance(entry.found, DeadLetter):
                return entry
            if entry.stream_id is not None and not self.now.stands(entry.stream_id):
                before = streams.get(entry.stream_id) or self.now.of(entry.stream_id)
                streams[entry.stream_id], outgoing = self.now.tried(before, entry)
                if outgoing is None or published(outgoing):
                    return entry
        return None

    # -- trying --------------------------------------------------------------------------------------------------------

    def _is_said(self, number: int, entry: Unread, outgoing: Sequence[OutgoingMessage]) -> bool:
        """Whether its messages are those of the numbers from this on; what is on the bus nowhere fits everywhere."""
        assert isinstance(entry.found, Input)
        trial = Batch(self.decider.service, self.now.home)
        trial.claims[self.now.shard] = replace(self.now.claim, sequence=number - 1)
        try:
            trial.store(self.now.shard, entry.found, outgoing)
        except ValueError:  # no topic takes it
            return False
        for event in trial.events:
            if event.topic is not None:
                said = self.said.get(event.sequence or 0)
                if not said.is_what(event) if said is not None else event.id in self.numbers:
                    return False
        return True

    def _planned(self, path: Iterable[tuple[UnreadLog, Unread]]) -> list[Step]:
        """The path with all that lies before it in its logs. Raises _Blocked for what may not be passed silently."""
        streams: dict[str, KnownStream] = {}
        passed = Counter[str]()
        steps: list[Step] = []
        for log, wanted in path:
            for entry in log.entries[log.taken + passed[log.topic] : wanted.number + 1]:
                outgoing: Sequence[OutgoingMessage] | None = None
                stream_id = entry.stream_id
                place = entry.record.topic, entry.record.offset
                if stream_id is not None and not self.now.stands(stream_id) and place not in self.now.silenced:
                    before = streams.get(stream_id) or self.now.of(stream_id)
                    streams[stream_id], outgoing = self.now.tried(before, entry)
                    if entry is not wanted and (outgoing is None or published(outgoing)):
                        raise _Blocked(log, entry)
                elif entry is not wanted and isinstance(entry.found, DeadLetter) and place not in self.now.silenced:
                    raise _Blocked(log, entry)
                steps.append((log, entry, outgoing))
                passed[log.topic] += 1
        return steps
