"""What only an operator can put right, and that he does: a database that is put back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
"""Virtual seconds, at most, for which the service is stopped."""


@dataclass
class Disaster:
    """Of one service, from the backup to the end of the repair."""

    group: Group
    fault: Fault
    struck_at: float | None = None
    """None: its backup is made, and nothing is wrong yet."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Disasters:
    """Of one history: at most one of each service at a time."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.of: dict[str, Disaster] = {}
        self.under_way = asyncio.Event()
        """Set from when something was put back until it is put right: as long there is something to notice."""

    def begin(self, fault: Fault, group: Group) -> None:
        """Not where something of the service waits for a fix: what the rules that are mended say of it is not what was
        said, so that a person has to look at it, and he would have to know what nobody has told him."""
        if group.service in self.of or group.flaws or group.newer or group.parked():
            return
        one = self.of[group.service] = Disaster(group, fault)
        self.world.tells(f"-- a backup is made of what the {group.service} service holds")
        one.tasks.append(asyncio.create_task(self._put_back(one, group.backup())))

    def heal(self) -> None:
        """What has not happened by now does not; the operator comes to what has."""
        for one in list(self.of.values()):
            if one.struck_at is None:
                one.tasks[0].cancel()
                del self.of[one.group.service]

    def struck(self, group: Group) -> Disaster | None:
        one = self.of.get(group.service)
        return one if one is not None and one.struck_at is not None else None

    # -- what becomes of it --------------------------------------------------------------------------------------------

    async def _put_back(self, one: Disaster, backup: Backup) -> None:
        world, group = self.world, one.group
        await asyncio.sleep(one.fault.lasts)
        group.put_back(backup)
        one.struck_at = world.now()
        world.visited.fault = one.fault.kind
        world.visited.struck[one.fault.kind] += 1
        older = [shard for shard in group.shards if group.is_older(shard)]
        world.tells(f"** {one.fault.kind}: {group.service}, by {one.fault.lasts:.6g} s; older than the bus: {older}")
        self.under_way.set()
        await asyncio.sleep(world.chance.uniform(*COMES_AFTER))
        try:
            await self._repair(one)
        except Exception as bug:
            world.finds(f"the {group.service} service cannot be repaired: {type(bug).__name__}: {bug}")

    async def _repair(self, one: Disaster) -> None:
        """As docs/OPERATIONS.md says: stop, replay, start."""
        world, group = self.world, one.group
        self._noticed(one)
        world.tells(f"-- the operator stops the {group.service} service")
        group.stop()
        await asyncio.sleep(world.chance.uniform(0, WORKS_FOR))
        older = [shard for shard in group.shards if group.is_older(shard)]
        group.locked.clear()
        for outcome in await repair.replay(group.decider, group.operators_store(), world.bus, older):
            if outcome.withheld or outcome.missing:
                world.finds(f"replayed, {group.service}: withheld {outcome.withheld}, missing {outcome.missing}")
            told = f"decided {outcome.decided}, taken {outcome.taken}, unsent {outcome.unsent}"
            world.tells(f"-- the operator replays {group.service}/{outcome.shard}: {told}")
        group.count_unsent()
        del self.of[group.service]
        if not any(other.struck_at is not None for other in self.of.values()):
            self.under_way.clear()
        group.start_again()

    # -- what must be so meanwhile -------------------------------------------------------------------------------------

    def _noticed(self, one: Disaster) -> None:
        """Who has compared since serves nothing that does not fit."""
        for process in one.group.living():
            for number, shard in process.loop.shards.items():
                if shard.ready and one.group.is_older(number) and self._has_compared(process, one):
                    self.world.finds(f"{process.name} serves shard {number}, whose database is older than the bus")

    def older(self, process: "Process", shards: Sequence[int]) -> list[int]:
        """Of which of these the rows, as they are now, do not fit the bus."""
        if self.struck(process.group) is None:
            return []
        return [shard for shard in shards if process.group.is_older(shard)]

    def says(self, process: "Process", row: StoredEvent, began: float) -> None:
        """Who has compared it since does not begin to say what is in his database no more."""
        one = self.struck(process.group)
        if one is None or not self._has_compared(process, one) or began < process.compared[1]:
            return
        if row.position > process.compared_at.get(row.shard, -1):
            return  # its commit was not answered yet
        rows = process.group.rows(row.shard)
        if not any((known.position, known.data) == (row.position, row.data) for known in rows):
            self.world.finds(f"{process.name} says {row.type}, number {row.sequence}, which its database has not")

    def _has_compared(self, process: "Process", one: Disaster) -> bool:
        return one.struck_at is not None and process.compared[0] > one.struck_at
