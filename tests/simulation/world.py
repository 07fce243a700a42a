"""The world of one history: a bus, six services of one or more processes, a mail server, and what goes wrong."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

from schemas.notification.events import Queued
from schemas.topics import SERVICES
from services.notification.people import AddressedWebhook
from services.refund.ledger import BookedEntry
from shared.kernel.ports import Record
from shared.runtime.clocks import AHEAD_MAX
from shared.runtime.memory import START, MemoryBus
from shared.runtime.postgres.database import LET_GO_SECONDS
from shared.runtime.presence import HUNG_AFTER
from tests.simulation.coverage import NONE, Visited
from tests.simulation.disasters import Disasters
from tests.simulation.group import NEVER, Flaw, Group
from tests.simulation.observed import Observed
from tests.simulation.plan import DISASTERS, Fault, Plan
from tests.simulation.process import Process

LEASE = 3.0
"""Virtual seconds after which the shards of a silent process are somebody else's."""
SKEW_MAX = 30.0
"""Virtual seconds by which the broker's clock is behind at most, or a process's behind or ahead. A bell that comes
early is asked for again and again until the clocks agree: hours of it show nothing that half a minute does not. The
broker's is ahead by minutes at most: by more, all would only wait for it."""


class Bus(MemoryBus):
    """Its clock is virtual time, and may be set forwards or back. Its logs have holes. Whoever listens hears of each
    record at once."""

    def __init__(self, partitions: int, time: Callable[[], datetime], hole: Callable[[], bool]) -> None:
        super().__init__(partitions)
        self.time, self.off = time, timedelta(0)
        self._hole = hole
        self._left_out: Counter[tuple[str, int]] = Counter()
        self._listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self.watchers: list[Callable[[Record], None]] = []
        self.heard: list[Record] = []
        """Everything, in the order in which it came."""

    def clock(self) -> datetime:
        return self.time() + self.off

    def listen(self, topics: Sequence[str], heard: Callable[[], None]) -> None:
        for topic in topics:
            self._listeners[topic].append(heard)

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
    ) -> Record:
        record = super().append(topic, key, value, headers, partition)
        place = record.topic, record.partition
        self._left_out[place] += self._hole()
        record = self.logs[place][-1] = replace(record, offset=record.offset + self._left_out[place])
        self.heard.append(record)
        for watcher in self.watchers:
            watcher(record)
        for heard in self._listeners[topic]:
            heard()
        return record


class World:
    def __init__(self, plan: Plan, visited: Visited) -> None:
        self.plan, self.visited = plan, visited
        self.chance = Random(plan.seed + 1)
        self._loop = asyncio.get_running_loop()
        self.bus = Bus(plan.partitions, self.time, lambda: bool(plan.holes) and self.chance.random() < plan.holes)
        self.broker_down_until = self.mail_down_until = self.provider_away_until = NEVER
        self.refuses_until: dict[str | None, float] = defaultdict(lambda: NEVER)
        """Topic -> how long it takes no records."""
        self.calm = self.clock_went_back = False
        self.well_since = float("inf")
        """Virtual seconds: from then on nothing keeps anybody from what is due, no fault and no operator."""
        self.mails: list[Queued] = []
        self.webhooks: list[AddressedWebhook] = []
        """What endpoints of people's own took."""
        self.ledger: dict[str, BookedEntry] = {}
        self.observed = Observed(self)
        self.findings: list[str] = []
        self.story: list[tuple[datetime, str]] = []
        self.broken: set[tuple[str, str]] = set()
        """(service, order): of what the code could not handle something, at some time."""
        self.disasters = Disasters(self)
        self.groups = {service: Group(self, service) for service in SERVICES}
        for group in self.groups.values():
            process = group.start()
            group.owner = dict.fromkeys(range(plan.partitions), process)

    def now(self) -> float:
        return self._loop.time()

    def time(self) -> datetime:
        """Of everybody whose clock is right."""
        return START + timedelta(microseconds=int(self._loop.time() * 1_000_000))

    def tells(self, sentence: str) -> None:
        self.story.append((self.bus.clock(), sentence))

    def finds(self, sentence: str) -> None:
        self.findings.append(sentence)
        self.tells(f"!! {sentence}")

    def hesitation(self) -> float:
        """How long a door or a topic takes now."""
        most = 0 if self.calm else self.plan.hesitation
        if not most or self.chance.random() < 0.5:
            return 0.0
        return self.chance.uniform(0, min(most, 0.05) if self.chance.random() < 0.8 else most)

    def some_of(self, begin: int, end: int) -> int:
        """Where a delivery ends."""
        return end if self.calm or self.chance.random() < 0.7 else self.chance.randint(begin + 1, end)

    def book(self, booked: BookedEntry) -> None:
        if booked.id in self.ledger:
            self.finds(f"ledger entry {booked.id} of {booked.order_id} is booked again")
        self.ledger[booked.id] = booked

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def strike(self, fault: Fault, process: Process, door: str) -> None:
        group, until = process.group, self.now() + fault.lasts
        if fault.kind in DISASTERS:
            self.disasters.begin(fault, group)
            return
        if fault.kind == "broker clock back" and self.disasters.forbids_clocks():
            return
        self.tells(f"** {fault.kind}: {process.name} at “{door}”, {fault.lasts:.6g} s")
        self.visited.fault = fault.kind
        self.visited.struck[fault.kind] += 1
        match fault.kind:
            case "crash":
                self.crash(process, fault.lasts)
            case "freeze":
                self._freeze(process, fault.lasts, given_up_after=LEASE)
            case "stall":
                self._freeze(process, fault.lasts, given_up_after=HUNG_AFTER.total_seconds())
            case "half-open session":
                group.locked |= dict.fromkeys(process.loop.shards, self.now() + LET_GO_SECONDS)
                self.crash(process, min(fault.lasts, LET_GO_SECONDS))
            case "lost answer":
                group.answer_lost = True
            case "database down":
                group.down_until = until
            case "broker down" if fault.crossing % 2:  # one topic of it
                self.refuses_until[f"{group.service}.events"] = until
            case "broker down":
                self.broker_down_until = until
                self._wake_all(fault.lasts)
            case "topic delayed":
                for place in process.source.next:
                    if self.chance.random() < 0.5:
                        process.source.ready_at[place] = until
            case "delivered again":
                process.source.again(1 + int(fault.lasts))
            case "moved" | "stolen":
                others = [one for one in group.living() if one is not process]
                group.assign(others[0] if others else group.start(), process, asked=fault.kind == "moved")
            case "broker clock forward":
                self.bus.off = min(self.bus.off + timedelta(seconds=fault.lasts), 2 * AHEAD_MAX)
            case "broker clock back":
                self.clock_went_back = True
                self.bus.off = max(self.bus.off - timedelta(seconds=fault.lasts), -timedelta(seconds=SKEW_MAX))
            case "clock wrong":
                process.clock_wrong = timedelta(seconds=min(fault.lasts, SKEW_MAX) * self.chance.choice((-1, 1)))
            case "mail down":
                self.mail_down_until = until
            case "provider away":
                self.provider_away_until = until
            case "broken rule":
                self._break(group, fault.lasts)
            case "older version":
                self._fall_behind(group, fault.lasts)

    def crash(self, process: Process, replaced_after: float) -> None:
        process.kill()
        for other in process.group.living():
            other.wake.set()
        self._loop.call_later(replaced_after, self._replace, process)

    def _replace(self, process: Process) -> None:
        """Somebody living takes the shards it had, or a new one."""
        group = process.group
        if process in group.owner.values() and not group.stopped:
            living = group.living()
            group.assign(living[-1] if living else group.start(), process, asked=False)

    def _freeze(self, process: Process, lasts: float, given_up_after: float) -> None:
        process.thawed.clear()
        self._loop.call_later(lasts, process.thawed.set)
        if lasts > given_up_after:
            self._loop.call_later(given_up_after, self._replace, process)

    def _break(self, group: Group, lasts: float) -> None:
        order_id = f"o{self.chance.randint(1, len(self.plan.deals))}"
        if self.disasters.forbids_bugs(group):
            return
        self.broken.add((group.service, order_id))
        group.flaws[order_id] = flaw = Flaw(self.chance.choice((0, 0, 1, 2)))
        self.tells(f"** {group.service} cannot handle what comes for {order_id}, after {flaw.spared} more")
        self._loop.call_later(lasts, self._mend, group, order_id, self.chance.random() < 0.5)

    def _mend(self, group: Group, order_id: str, again: bool) -> None:
        """The fix is there, and sometimes only half of one. New processes know it, or nobody but the operator."""
        if group.flaws.pop(order_id, None) is None:
            return
        if again:
            group.flaws[order_id] = Flaw(self.chance.choice((1, 2)))
            self._loop.call_later(LEASE, self._mend, group, order_id, False)
        if not group.obeys_operators or self.chance.random() < 0.5:
            self.tells(f"** {group.service} is deployed anew")
            for process in group.living():
                self.crash(process, 0)

    def _fall_behind(self, group: Group, lasts: float) -> None:
        order_id = f"o{self.chance.randint(1, len(self.plan.deals))}"
        if self.disasters.forbids_bugs(group):
            return
        self.broken.add((group.service, order_id))
        group.newer.add(order_id)
        self.tells(f"** {group.service} does not know what others say of {order_id}")
        self._loop.call_later(lasts, self._upgrade, group)

    def _upgrade(self, group: Group) -> None:
        if group.newer:
            group.newer.clear()
            self.tells(f"** {group.service} is upgraded")
            for process in group.living():
                self.crash(process, 0)

    def _wake_all(self, after: float) -> None:
        for group in self.groups.values():
            for process in group.living():
                self._loop.call_later(after, partial(process.source.again, 0))

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self.calm, self.well_since = True, self.now() + self.plan.hesitation  # who hesitates by then goes on by then
        self.visited.fault = NONE
        self.broker_down_until = self.mail_down_until = self.provider_away_until = NEVER
        self.refuses_until.clear()
        self.disasters.heal()
        for group in self.groups.values():
            for order_id in list(group.flaws):
                self._mend(group, order_id, again=False)
            self._upgrade(group)
            group.calm()
            for process in group.living():
                process.thawed.set()
                process.clock_wrong = timedelta(0)
                process.source.ready_at.clear()
                process.source.again(0)
            for process in group.processes:
                if not process.alive:
                    self._replace(process)

    def stop(self) -> None:
        """Nothing happens any more, also not while what runs is cleared away."""
        for group in self.groups.values():
            for process in group.living():
                process.kill()

    # -- what is going on ----------------------------------------------------------------------------------------------

    def quiet(self) -> bool:
        """Every record is handled and every event on the bus."""
        if self.disasters.under_way.is_set():
            return False
        return all(group.quiet(shard) for group in self.groups.values() for shard in range(self.bus.partitions))
