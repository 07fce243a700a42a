"""What does not go on by itself is known from the topics: as the services have it, and not for longer."""

import os
from dataclasses import replace
from random import Random

import pytest

from schemas.topics import SERVICES
from services.casefile.operating.stuck import Standstills, standstills
from tests.simulation import virtual_time
from tests.simulation.actors import Wish
from tests.simulation.coverage import Visited
from tests.simulation.plan import Fault, Plan, draw
from tests.simulation.play import Stage

HISTORIES = int(os.environ.get("RECOURSE_TEST_STUCK", "6"))


class Looked:
    """What the services had parked when all was quiet, and how much had been said."""

    def __init__(self, said: int, parked: set[tuple[str, str]]) -> None:
        self.said, self.parked = said, parked


class ParkingStage(Stage):
    looks: list[Looked]

    async def _say(self, order_id: str, wish: Wish, command_id: str = "") -> str:
        if await self._quiet():
            self._look()
        return await super()._say(order_id, wish, command_id)

    async def _end(self) -> None:
        await super()._end()
        self._look()

    def _look(self) -> None:
        parked: set[tuple[str, str]] = {
            (service, one) for service, group in self.world.groups.items() for one in group.parked()
        }
        self.looks.append(Looked(len(self.world.bus.heard), parked))


def with_broken_rules(plan: Plan) -> Plan:
    """One in each of some services, and nothing else that goes wrong."""
    services = Random(plan.seed).sample(SERVICES, 3)
    faults = tuple(Fault("broken rule", one, turn, turn, 30 * plan.day) for turn, one in enumerate(services))
    return replace(plan, faults=faults)


def still_parked(found: Standstills) -> set[tuple[str, str]]:
    """What the shard says of an order after the word that it waits frees it."""
    return {
        key
        for key, one in found.parked.items()
        if found.spoke.get((one.service, one.order_id, one.source), 0) < one.sequence
    }


@pytest.mark.timeout(60 + 4 * HISTORIES)
def test_an_order_is_parked_as_long_as_its_service_has_it_so() -> None:
    seen = 0
    for seed in range(HISTORIES):
        stage = ParkingStage(with_broken_rules(draw(seed)), Visited())
        stage.looks = []
        virtual_time.run(stage.play())
        for look in stage.looks:
            shown = still_parked(standstills(stage.world.bus.heard[: look.said]))
            assert shown == look.parked, (seed, look.said)
            seen += bool(shown)
    assert seen > HISTORIES, "hardly anything was parked"
