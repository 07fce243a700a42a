"""The processes of one service, and what outlives them: its rows, its letters, its books, its timers."""

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from schemas.notification.events import Queued
from schemas.people import Person
from schemas.topics import SERVICES_WRITE, written_by
from schemas.wire import Service
from services.composition import DECIDERS
from services.notification.domain import decider as notification
from services.notification.people import AddressedWebhook, MemoryPeopleTable, People
from services.notification.projection import (
    OWN_QUEUES,
    TAKEN,
    TAKEN_MAX,
    UNREACHABLE,
    Channel,
    Deliveries,
    Delivery,
    MemoryDeliveryTable,
    SendResult,
)
from services.refund.ledger import BookedEntry
from services.refund.projection import Ledger, MemoryReviewTable, Review, ReviewPlace, ReviewQueue
from services.timer.projection import MemoryTimerTable, Timers
from shared.kernel import codec
from shared.kernel.codec import Decoder
from shared.kernel.ports import Commit, Input, Outage, Projection, StoredEvent
from shared.runtime.memory import MemoryStore
from shared.runtime.partitions import home_among
from shared.runtime.parts import Parts
from tests.simulation.plan import RULES, Fault
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

NEVER = float("-inf")
AT_ONCE = 4
"""Letters that are handed over at the same time."""


class Mail(MemoryDeliveryTable):
    """A process's view of the queue of letters, which outlives it, and of the mail server: doors like any other. What
    the server took is noted by its delivery alone."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.process, self.world, self.deliveries = process, process.group.world, process.group.letters

    async def next(self, *page: Any) -> list[Delivery]:
        with self.news():
            await self.process.crosses("look")
            self.process.group.answers()
            return await super().next(*page)

    async def send(self, queued: Queued, now: datetime) -> SendResult:
        with self.news():
            await self.process.crosses("mail")
            if self.world.now() < self.world.mail_down_until:
                return UNREACHABLE
            self.world.mails.append(queued)
            await self.process.crosses("mailed")
            return TAKEN

    async def send_own(self, webhook: AddressedWebhook, now: datetime) -> SendResult:
        """To an endpoint of somebody's own: away when the mail server is, and some are gone for good."""
        with self.news():
            await self.process.crosses("mail")
            if self.world.now() < self.world.mail_down_until:
                return UNREACHABLE
            if webhook.url.endswith("/2"):
                return SendResult("refused", final=True, http_status=410)
            self.world.webhooks.append(webhook)
            await self.process.crosses("mailed")
            return TAKEN

    async def close(self) -> None: ...

    @contextmanager
    def news(self) -> Iterator[None]:
        """What comes of it changes what is due next: the process, which does not look by itself, is woken."""
        try:
            yield
        finally:
            self.process.source.again(0)


class Lookup(MemoryPeopleTable):
    """A process's view of the table of people, which outlives it. Who has no address is sent nothing: that is news."""

    def __init__(self, mail: Mail, kept: MemoryPeopleTable) -> None:
        self.people, self.mail = kept.people, mail

    async def find(self, person_id: str) -> Person | None:
        with self.mail.news():
            return await super().find(person_id)


class LedgerTable:
    """The ledger, kept beyond a process; an entry that is there already is an error, as in the database."""

    def __init__(self, world: "World") -> None:
        self.world = world

    async def add(self, transaction: Any, booked: Sequence[BookedEntry]) -> None:
        for one in booked:
            self.world.book(one)


class BrokenRule(Exception):
    """What the code raises, as planned."""


@dataclass
class Flaw:
    """A bug that one input of an order brings to light: the next after `spared` others."""

    spared: int
    input_id: str | None = None

    def shows(self, found: Input) -> bool:
        if self.input_id is None and self.spared == 0:
            self.input_id = found.id
        self.spared = max(0, self.spared - 1)
        return found.id == self.input_id


@dataclass(frozen=True)
class Backup:
    """All that one service's database held."""

    shards: dict[int, Any]
    letters: dict[tuple[int, str], Delivery]
    people: dict[str, Person]
    timers: MemoryTimerTable
    ledger: dict[str, BookedEntry]
    reviews: dict[ReviewPlace, Review]
    handled: dict[tuple[int, str], list[tuple[Input, datetime]]]


class OperatorsStore(MemoryStore):
    """The service's rows while it is stopped: there are no doors, nothing goes wrong."""

    def __init__(self, group: "Group", projections: Sequence[Projection]) -> None:
        super().__init__(projections)
        self.group, self.shards = group, group.shards

    async def commit(self, commit: Commit) -> None:
        await super().commit(commit)
        self.group.committed(commit)
        inputs = {found.id for _, found in commit.inputs}
        for event in commit.events:
            cause = event.causation_id or ""
            if cause not in inputs and not cause.startswith(f"{self.group.service}/"):  # nor of a deadline
                self.group.taken.add((event.shard, event.stream_id or ""))


class Group:
    """All processes of one service, and what outlives them."""

    def __init__(self, world: "World", service: Service) -> None:
        self.world, self.service = world, service
        self.shards: dict[int, Any] = {}
        self.letters: dict[tuple[int, str], Delivery] = {}
        self.people = MemoryPeopleTable()
        self.table = MemoryTimerTable()
        self.reviews = MemoryReviewTable()
        self.processes: list[Process] = []
        self.owner: dict[int, Process] = {}
        """Whom each shard is meant for."""
        self.holder: dict[int, Process | None] = {}
        """Who has it by right: it is claimed by nobody else before it was given back, or its process given up."""
        self.down_until = NEVER
        self.locked: dict[int, float] = {}
        """Shard -> until when its row is held by a session that nobody uses any more."""
        self.answer_lost = False
        self.handled: dict[tuple[int, str], list[tuple[Input, datetime]]] = defaultdict(list)
        """(shard, order) -> the inputs whose outcome was committed, in that order, and when by the broker's clock."""
        self.unsent: dict[int, set[int]] = defaultdict(set)
        """Shard -> positions of the rows for the bus that were committed and are not there."""
        self._waiting: list[list[Any]] = []
        self.flaws: dict[str, Flaw] = {}
        """By the order of which it keeps the service from handling something."""
        self.newer: set[str] = set()
        """The orders of which others speak in a newer version than its own."""
        self.was_put_back = False
        """Its database, once at least."""
        self.taken: set[tuple[int, str]] = set()
        """(shard, order) of what stands as it was said: a letter that was sent, a bell that rang, of which nothing but
        the database that was put back knew how it came."""
        self.stopped = False
        """An operator is at work: no process runs, and none is started but by him."""
        self.rules = DECIDERS[service]
        if service == "notification" and world.plan.own_webhooks:
            self.rules = notification(mail=True, own_webhooks=True)
        self.decider = world.visited.watch(self.rules)
        self.topics = Decoder(self.decider, home_among(world.bus.partitions)).topics

    def parts(self, process: Process) -> Parts:
        match self.service:
            case "timer":
                timers = Timers(self.table)
                return Parts([timers], [timers])
            case "notification":
                mail = Mail(process)
                channels: list[Channel[Any]] = [Channel(("email",), mail.send, mail.close, AT_ONCE)]
                if self.world.plan.own_webhooks:
                    channels.append(Channel(OWN_QUEUES, mail.send_own, mail.close, TAKEN_MAX))
                deliveries = Deliveries(mail, Lookup(mail, self.people), channels, process.clock)
                return Parts([People(self.people), deliveries], [deliveries])
            case "refund":
                return Parts([Ledger(LedgerTable(self.world)), ReviewQueue(self.reviews)])
        return Parts()

    def start(self) -> Process:
        process = Process(self, len(self.processes) + 1, self.decider, RULES, self.topics)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        self.stopped = True
        for process in self.living():
            process.kill()

    def start_again(self) -> None:
        self.stopped = False
        self.holder.clear()
        self.owner = dict.fromkeys(self.owner, self.start())

    def living(self) -> list[Process]:
        return [process for process in self.processes if process.alive]

    def assign(self, process: Process, taken_from: Process, *, asked: bool) -> None:
        """Its shards are for another one; who is not asked to give them back finds out by himself."""
        for shard, owner in self.owner.items():
            if owner is taken_from:
                self.owner[shard] = process
                if not asked:
                    self.holder[shard] = None
        for one in self.living():
            one.wake.set()

    def given_back(self, shards: Iterable[int], by: Process) -> None:
        mine = [shard for shard in shards if self.holder.get(shard) is by]
        self.holder |= dict.fromkeys(mine)
        if mine:
            for one in self.living():
                one.wake.set()

    def expect(self, fault: Fault) -> None:
        self._waiting.append([fault.crossing, fault])

    def struck(self) -> Iterator[Fault]:
        """The faults that strike as one of the service's processes crosses a door."""
        if not self._waiting:
            return
        for waiting in self._waiting:
            waiting[0] -= 1
        due = [fault for crossings, fault in self._waiting if crossings < 0]
        self._waiting = [waiting for waiting in self._waiting if waiting[0] >= 0]
        yield from due

    def calm(self) -> None:
        self._waiting, self.answer_lost, self.down_until, self.locked = [], False, NEVER, {}

    def answers(self) -> None:
        """The database does, or an outage is raised: it is away, or its answer was lost."""
        if self.world.now() < self.down_until:
            raise Outage("the database is away")
        self._hear("the database")

    def broker_answers(self) -> None:
        if self.world.now() < self.world.broker_down_until:
            raise Outage("the broker is away")
        self._hear("the broker")

    def _hear(self, whom: str) -> None:
        if self.answer_lost:
            self.answer_lost = False
            raise Outage(f"no answer of {whom}")

    def trips_over(self, found: Input) -> None:
        if found.stream_id in self.flaws and self.flaws[found.stream_id].shows(found):
            raise BrokenRule

    @property
    def obeys_operators(self) -> bool:
        """Whether they can let a parked order go on; elsewhere new processes do."""
        return self.decider.resume is not None

    def parked(self) -> set[str]:
        """The orders that wait for a fix, or for somebody to say that it is there."""
        stored = {order_id for shard in self.shards.values() for order_id in shard.parked}
        held = (shard for process in self.living() for shard in process.loop.shards.values())
        return stored.union(*(shard.claim.parked for shard in held))

    def committed(self, commit: Commit) -> None:
        for shard, found in commit.inputs:
            if found.waits:
                continue
            self.handled[shard, found.stream_id].append((found, self.world.bus.clock()))
        for event in commit.events:
            if event.topic is not None:
                self.unsent[event.shard].add(event.position)
        for shard, order_id, _ in commit.parked:
            if (self.service, order_id) not in self.world.broken:
                self.world.finds(f"the {self.service} service parked {order_id} (shard {shard})")

    # -- its database, and another one ---------------------------------------------------------------------------------

    def backup(self) -> Backup:
        ledger = self.world.ledger if self.service == "refund" else {}
        return Backup(
            copy.deepcopy(self.shards),
            dict(self.letters),
            dict(self.people.people),
            copy.deepcopy(self.table),
            dict(ledger),
            dict(self.reviews.reviews),
            {place: list(handled) for place, handled in self.handled.items()},
        )

    def put_back(self, backup: Backup) -> None:
        """Who looks at the rows sees those of then; what he remembers is another matter."""
        self.was_put_back = True
        rows: tuple[tuple[dict[Any, Any], dict[Any, Any]], ...] = (
            (self.shards, backup.shards),
            (self.letters, backup.letters),
            (self.people.people, backup.people),
            (self.table.timers, backup.timers.timers),
            (self.table.watermarks, backup.timers.watermarks),
            (self.reviews.reviews, backup.reviews),
            (self.handled, backup.handled),
            *([(self.world.ledger, backup.ledger)] if self.service == "refund" else ()),
        )
        for now, then in rows:
            now.clear()
            now.update(then)
        self.count_unsent()

    def count_unsent(self) -> None:
        said = {codec.numbered(record) for record in self.world.bus.heard}
        for shard in self.shards:
            source = codec.source_of(self.service, shard)
            rows = (row for row in self.rows(shard) if row.topic is not None)
            self.unsent[shard] = {row.position for row in rows if (source, row.sequence) not in said}

    def is_older(self, shard: int) -> bool:
        """Whether the bus has of a shard what its rows do not know; only where nobody else writes is a number proof."""
        source = codec.source_of(self.service, shard)
        known = self.shards[shard].claim.sequence if shard in self.shards else 0
        places = (
            self.world.bus.logs.get((topic, shard), []) for topic in written_by(self.service) if topic in SERVICES_WRITE
        )
        said = (codec.numbered(record) or ("", 0) for log in places for record in log)
        return any(by == source and number > known for by, number in said)

    def operators_store(self) -> MemoryStore:
        match self.service:
            case "timer":
                return OperatorsStore(self, [Timers(self.table)])
            case "notification":
                letters = MemoryDeliveryTable()
                letters.deliveries = self.letters
                deliveries = Deliveries(letters, self.people, (), self.world.bus.clock)
                return OperatorsStore(self, [People(self.people), deliveries])
            case "refund":
                return OperatorsStore(self, [Ledger(LedgerTable(self.world)), ReviewQueue(self.reviews)])
        return OperatorsStore(self, ())

    def quiet(self, shard: int) -> bool:
        stored = self.shards.get(shard)
        if stored is None or self.unsent[shard]:
            return False
        cursors = stored.claim.cursors
        for topic in self.topics:
            log = self.world.bus.logs.get((topic, shard))
            if log and (topic not in cursors or cursors[topic].offset <= log[-1].offset):
                return False
        return True

    def rows(self, shard: int) -> list[StoredEvent]:
        rows: list[StoredEvent] = self.shards[shard].events if shard in self.shards else []
        return rows
