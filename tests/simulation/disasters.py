"""What only an operator can put right, and that he does: a database that is put back, a log that lost what it had."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploy.repair import again
from shared.kernel.ports import StoredEvent
from tests.simulation import repair
from tests.simulation.group import Backup, Group
from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

COMES_AFTER = 5.0, 30.0
"""Virtual seconds until the operator is there. Every second all look whether anything fits again: hours of it show
nothing that half a minute does not."""
WORKS_FOR = 2.0
"""Virtual seconds, at most, for which services are stopped."""
AWAY_SECONDS_MAX = 30.0
OFTEN_LOST = 4.0
"""Records of a tail, about."""


@dataclass
class Disaster:
    """Of one service, from the backup, or from the loss, to the end of the repair."""

    group: Group
    fault: Fault
    partition: int = 0
    """The log that lost its tail."""
    struck_at: float | None = None
    """None: its backup is made, and nothing is wrong yet."""
    task: asyncio.Task[None] | None = None

    @property
    def topic(self) -> str:
        return f"{self.group.service}.events"


class Disasters:
    """Of one history, one at a time: what to do about two is for the person who finds them."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.now: Disaster | None = None
        self.under_way = asyncio.Event()
        """Set from when something was lost until it is put right: as long there is something to notice."""
        self.lost: dict[str, bool] = {}
        """Topics that were deleted -> whether they are still gone, or there again under another id. They take nothing
        before the operator comes: what is said there before its writer has noticed, which is a second at most, hides
        from `republish` what was said before it, and nobody promises anything of that (docs/GUARANTEES.md)."""

    def begin(self, fault: Fault, group: Group) -> None:
        if self.now is not None:
            return
        match fault.kind:
            case "database put back" if not (group.flaws or group.newer or group.parked()):
                # What rules say that are mended is not what was said: a person would have to look at such an order.
                self.now = Disaster(group, fault)
                self.world.tells(f"-- a backup is made of what the {group.service} service holds")
                self._goes_on(self.now, self._put_back(self.now, group.backup()))
            case "log lost its tail":
                self._lose_tail(Disaster(group, fault))
            case "topic made anew":
                self._lose_topic(Disaster(group, fault))

    def heal(self) -> None:
        """What has not happened by now does not; the operator comes to what has."""
        if self.now is not None and self.now.struck_at is None and self.now.task is not None:
            self.now.task.cancel()
            self.now = None

    def forbids_clocks(self) -> bool:
        """Append times say in which order things are replayed."""
        return self.now is not None and self.now.struck_at is not None and bool(self.now.group.decider.own_inputs)

    def forbids_bugs(self, group: Group) -> bool:
        """Its rules now are those by which it is replayed."""
        return self.now is not None and self.now.group is group and self.now.fault.kind == "database put back"

    # -- what happens --------------------------------------------------------------------------------------------------

    async def _put_back(self, one: Disaster, backup: Backup) -> None:
        await asyncio.sleep(one.fault.lasts)
        if self.world.clock_went_back and one.group.decider.own_inputs:
            # Append times alone say what a service had heard when it rang or sent by itself (docs/OPERATIONS.md).
            self.now = None
            return
        one.group.put_back(backup)
        older = [shard for shard in one.group.shards if one.group.is_older(shard)]
        self._strikes(one, f"{one.group.service}, by {one.fault.lasts:.6g} s; older than the bus: {older}")
        await self._repaired(one, self._replay(one), [one.group])

    def _lose_tail(self, one: Disaster) -> None:
        """The writer dies with the broker: as long as it runs it would not notice, and say more beyond what is lost."""
        world = self.world
        logs = {shard: world.bus.logs.get((one.topic, shard)) for shard in range(world.bus.partitions)}
        known = [shard for shard, log in logs.items() if log]
        if not known:
            return
        one.partition = world.chance.choice(known)
        log = logs[one.partition] or []
        gone = min(len(log), 1 + int(world.chance.expovariate(1 / OFTEN_LOST)))
        world.bus.lose_tail(one.topic, one.partition, log[-gone].offset)
        for process in one.group.living():
            world.crash(process, min(one.fault.lasts, AWAY_SECONDS_MAX))
        self._read_anew(one.topic)
        self._strikes(one, f"{one.topic}/{one.partition} lacks {gone}")
        self._goes_on(one, self._repaired(one, self._republish(one), self._concerned(one)))

    def _lose_topic(self, one: Disaster) -> None:
        world = self.world
        if not world.bus.records(one.topic):
            return
        world.bus.make_anew(one.topic)
        self.lost[one.topic] = world.chance.random() < 0.5
        self._read_anew(one.topic)
        self._strikes(one, f"{one.topic}, {'gone' if self.lost[one.topic] else 'there again'}")
        self._goes_on(one, self._repaired(one, self._republish(one), self._concerned(one)))

    def _read_anew(self, topic: str) -> None:
        """Who stands behind the end of a log reads it from where it begins, as Kafka's client does."""
        for group in self.world.groups.values():
            for process in group.living():
                for place, offset in process.source.next.items():
                    if place[0] == topic and offset > len(self.world.bus.logs.get(place, ())):
                        process.source.next[place] = 0

    def _concerned(self, one: Disaster) -> list[Group]:
        """Who writes the topic, and who reads it."""
        return [one.group, *(group for group in self.world.groups.values() if one.topic in group.topics)]

    def _strikes(self, one: Disaster, told: str) -> None:
        world = self.world
        self.now, one.struck_at = one, world.now()
        world.visited.fault = one.fault.kind
        world.visited.struck[one.fault.kind] += 1
        world.tells(f"** {one.fault.kind}: {told}")
        self.under_way.set()

    # -- the operator --------------------------------------------------------------------------------------------------

    def _goes_on(self, one: Disaster, work: Coroutine[Any, Any, None]) -> None:
        one.task = asyncio.create_task(work)

    async def _repaired(self, one: Disaster, work: Coroutine[Any, Any, None], groups: Sequence[Group]) -> None:
        """As docs/OPERATIONS.md says: stop, repair, start."""
        world = self.world
        await asyncio.sleep(world.chance.uniform(*COMES_AFTER))
        self._noticed(one, groups)
        world.tells(f"-- the operator stops {', '.join(group.service for group in groups)}")
        for group in groups:
            group.stop()
        await asyncio.sleep(world.chance.uniform(0, WORKS_FOR))
        try:
            await work
        except Exception as bug:
            world.finds(f"{one.fault.kind}: it cannot be repaired: {type(bug).__name__}: {bug}")
        for group in groups:
            group.count_unsent()
        self.now = None
        self.under_way.clear()
        for group in groups:
            group.start_again()
        world.well_since = max(world.well_since, world.now())

    async def _replay(self, one: Disaster) -> None:
        world, group = self.world, one.group
        group.locked.clear()
        older = [shard for shard in group.shards if group.is_older(shard)]
        for outcome in await repair.replay(group.decider, group.operators_store(), world.bus, older):
            if outcome.withheld or outcome.missing:
                world.finds(f"replayed, {group.service}: withheld {outcome.withheld}, missing {outcome.missing}")
            told = f"decided {outcome.decided}, taken {outcome.taken}, unsent {outcome.unsent}"
            world.tells(f"-- the operator replays {group.service}/{outcome.shard}: {told}")

    async def _republish(self, one: Disaster) -> None:
        """The writer's first, so that its readers find it."""
        self.lost.pop(one.topic, None)
        for group in self._concerned(one):
            group.locked.clear()
            sent, restarted = await repair.republish(group.decider, group.operators_store(), self.world.bus)
            self.world.tells(f"-- the operator publishes {sent} of {group.service} again; read anew: {restarted}")

    # -- what must be so meanwhile -------------------------------------------------------------------------------------

    def _noticed(self, one: Disaster, groups: Sequence[Group]) -> None:
        """Who has compared since serves nothing that does not fit."""
        for group in groups:
            for process in group.living():
                for number, shard in process.loop.shards.items():
                    if shard.ready and self._has_compared(process, one) and self._is_unfit(one, group, number):
                        self.world.finds(f"{process.name} serves shard {number}, which does not fit: {one.fault.kind}")

    def _is_unfit(self, one: Disaster, group: Group, shard: int) -> bool:
        if one.fault.kind == "database put back":
            return group.is_older(shard)
        if self.lost.get(one.topic):
            return True
        claim, place = group.shards[shard].claim, (one.topic, shard)
        if group is not one.group:
            return again.cut(claim, one.topic, self.world.bus.log(*place)) is not None
        rows = [row for row in group.rows(shard) if (row.topic, row.partition) == place]
        known = max((row.sequence or 0 for row in rows if row.position <= claim.published), default=0)
        return repair.last_said(self.world.bus, group.service, shard).get(place, 0) < known

    def older(self, group: Group, shards: Sequence[int]) -> list[int]:
        """Of which of these the rows, as they are now, do not know what the bus has."""
        one = self.now
        if one is None or one.group is not group or one.struck_at is None or one.fault.kind != "database put back":
            return []
        return [shard for shard in shards if group.is_older(shard)]

    def says(self, process: "Process", row: StoredEvent, began: float) -> None:
        """Who has compared it since does not begin to say what is in his database no more."""
        one = self.now
        if one is None or one.group is not process.group or not self._has_compared(process, one):
            return
        if began < process.compared[1] or row.position > process.compared_at.get(row.shard, -1):
            return  # it was on its way, or its commit was not answered yet
        rows = process.group.rows(row.shard)
        if not any((known.position, known.data) == (row.position, row.data) for known in rows):
            self.world.finds(f"{process.name} says {row.type}, number {row.sequence}, which its database has not")

    def _has_compared(self, process: "Process", one: Disaster) -> bool:
        return one.struck_at is not None and process.compared[0] > one.struck_at
