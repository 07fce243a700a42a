"""What the case file is given at moments of random histories: whenever somebody is about to speak, and at the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas.wire import MEDIATORS_KEY
from services.casefile.foresight.remembered import in_order
from services.casefile.shown.reading import Asked, Found
from services.casefile.shown.shapes import AsOf
from services.casefile.shown.whose import owners
from shared.kernel.ports import Record
from tests.simulation import virtual_time
from tests.simulation.actors import Wish
from tests.simulation.coverage import Visited
from tests.simulation.plan import Plan, draw
from tests.simulation.play import Stage
from tests.simulation.world import World


@dataclass(frozen=True)
class Moment:
    found: Found
    now: datetime

    def everybody(self) -> Iterator[Asked]:
        """All who may look."""
        whose = owners(self.found)
        yield Asked("operator", "olga")
        if whose.buyer is not None and whose.seller is not None:
            yield Asked("buyer", whose.buyer)
            yield Asked("seller", whose.seller)
        for mediator in dict.fromkeys(mediator for _, mediator in whose.mediators):
            yield Asked("mediator", mediator)


def moment(world: World, order_id: str) -> Moment:
    """As it lies in the topics now."""
    now = world.bus.clock()
    said = in_order(_lying(world, order_id, (".events", "mediation.roster")))
    roster = in_order(_lying(world, MEDIATORS_KEY, ("mediation.events", "mediation.roster")))
    commands, dead = (list(_lying(world, order_id, (kind,))) for kind in (".commands", ".dead-letters"))
    return Moment(Found(order_id, said, roster, commands, AsOf(at=now, records={}, behind_seconds=0.0), dead), now)


def _lying(world: World, key: str, topics: tuple[str, ...]) -> Iterator[Record]:
    return (one for one in world.bus.heard if one.topic.endswith(topics) and one.key == key.encode())


class WatchedStage(Stage):
    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, Visited())
        self.moments: list[Moment] = []

    async def _say(self, order_id: str, wish: Wish, command_id: str = "") -> str:
        if order_id in self.talk.orders:
            self._look(order_id)
        return await super()._say(order_id, wish, command_id)

    async def _end(self) -> None:
        await super()._end()
        for order_id in self.talk.orders:
            self._look(order_id)

    def _look(self, order_id: str) -> None:
        seen = moment(self.world, order_id)
        self.moments += [seen] if seen.found.records else []


def moments(plan: Plan | int) -> list[Moment]:
    """Of the history that a plan, or the one of a seed, makes: with its faults, as it happened."""
    stage = WatchedStage(draw(plan) if isinstance(plan, int) else plan)
    virtual_time.run(stage.play())
    return stage.moments
