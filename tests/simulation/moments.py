"""What the case file is given at the moments of random histories: whenever somebody is about to speak, and at the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas.wire import MEDIATORS_KEY
from services.casefile.reading import Asked, Found
from services.casefile.remembered import in_order
from services.casefile.shapes import AsOf
from services.casefile.whose import owners
from shared.kernel.ports import Record
from tests.simulation import virtual_time
from tests.simulation.actors import Wish
from tests.simulation.coverage import Visited
from tests.simulation.plan import Plan, draw
from tests.simulation.play import Stage


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
        now = self.world.bus.clock()
        said = in_order(self._lying(order_id, (".events", "mediation.roster")))
        if said:
            roster = in_order(self._lying(MEDIATORS_KEY, ("mediation.events", "mediation.roster")))
            commands = list(self._lying(order_id, (".commands",)))
            dead = list(self._lying(order_id, (".dead-letters",)))
            as_of = AsOf(at=now, records={}, behind_seconds=0.0)
            self.moments.append(Moment(Found(order_id, said, roster, commands, as_of, dead), now))

    def _lying(self, key: str, topics: tuple[str, ...]) -> Iterator[Record]:
        return (one for one in self.world.bus.heard if one.topic.endswith(topics) and one.key == key.encode())


def moments(plan: Plan | int) -> list[Moment]:
    """Of the history that a plan, or the one of a seed, makes: with its faults, as it happened."""
    stage = WatchedStage(draw(plan) if isinstance(plan, int) else plan)
    virtual_time.run(stage.play())
    return stage.moments
