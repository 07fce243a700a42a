"""What is done to the containers while orders are under way, and what must be true of everything afterwards."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from tests.e2e.containers import Containers, Part
from tests.faults import aftermath, checks
from tests.faults.market import OBEYED, Market, Traffic, never_shipped


class Trial:
    """One test's orders. Most live under rules by which nothing they ask for is ever refused; for the others, which
    nobody ships, time runs fast."""

    def __init__(self, stack: Containers, market: Market) -> None:
        self.stack, self.market = stack, market
        self.faults: Counter[str] = Counter()
        self.unhurried = Traffic(market, OBEYED, group=3, policy="aliexpress")
        self._hurried = Traffic(market, (never_shipped,), group=1)
        self._world = checks.World({})
        self._problems: list[str] = []

    def begin(self) -> None:
        self.unhurried.begin()
        self._hurried.begin()

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        async with self.unhurried.flowing(every=1), self._hurried.flowing(every=1):
            yield

    async def kill(self, part: Part) -> None:
        """SIGKILL; and the same container again."""
        await part.kill()
        self.faults["killed"] += 1
        await part.start()

    async def assert_nothing_was_lost(self) -> None:
        """Nor doubled, refused or out of order, and no service has ended by itself, ever since the stack began."""
        await self.unhurried.end()
        await self._hurried.end()
        self._world, self._problems = await aftermath.settled(
            lambda: aftermath.what_is_left(self.stack.system(grace_seconds=0), self.market)
        )
        assert self._problems == []
        assert self.unhurried.refused() == []
        await self.stack.until_well()
        crashed = {name: count for name, part in self.stack.services.items() if (count := part.state["RestartCount"])}
        assert crashed == {}, "services that ended by themselves, and how often"

    def account(self) -> dict[str, Any]:
        """For the report at the end. What is counted in topics is counted since the stack began."""
        return {
            "faults": dict(self.faults),
            "commands": self._world.report.counts["commands"],
            "lost": checks.lost(self._problems),
            "doubled": checks.doubled(self._problems),
        }
