"""What does not go on by itself is known from the topics: as the services have it, and not for longer."""

import os
import shlex
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from deploy.recourse.__main__ import parser
from schemas.instants import to_ms
from schemas.notification.events import NotificationFailed, NotificationSent
from schemas.notification.shapes import Recipient, ToldRecipient
from schemas.topics import SERVICES
from schemas.wire import Event
from services.casefile.operating.refused import refused
from services.casefile.operating.stuck import Standstills, StuckRow, standstills, stuck_shown
from shared.kernel.ports import Record
from shared.runtime.memory import START
from tests.simulation import virtual_time
from tests.simulation.actors import Wish
from tests.simulation.coverage import Visited
from tests.simulation.plan import Fault, Plan, draw
from tests.simulation.play import Stage
from tests.support.asking import served

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


def recorded(said: Event) -> Record:
    headers = [("ce_type", said.type.encode())]
    return Record("notification.events", 0, 0, to_ms(START), b"o1", said.model_dump_json().encode(), headers)


def test_whoever_is_told_after_all_is_undelivered_no_more() -> None:
    about: dict[str, Any] = {"order_id": "o1", "event_type": "order.placed.v1", "event_at": START, "template": "placed"}
    people = [Recipient(role="buyer", id="bea"), Recipient(role="seller", id="sam")]
    failed = [
        NotificationFailed(
            delivery_id=f"to-{one.id}",
            recipient=one,
            channel="email",
            attempts=1,
            problem="refused",
            smtp_status=550,
            visible_to=(one.role, "operator"),
            **about,
        )
        for one in people
    ]
    told = [
        ToldRecipient(role=one.role, id=one.id, delivery_id=f"to-{one.id}", channel="email", attempts=2)
        for one in people
    ]
    sent = NotificationSent(recipients=tuple(told), visible_to=("buyer", "seller", "operator"), **about)

    given_up = standstills(map(recorded, failed)).undelivered
    assert [one and one.recipient for one in given_up.values()] == ["buyer:bea", "seller:sam"]
    assert standstills(map(recorded, [*failed, sent])).undelivered == dict.fromkeys(given_up, None)


@pytest.mark.parametrize("code", ["no_ce_id", "x; touch /tmp/x", "$(id)", "it's", ""])
def test_a_command_to_be_copied_does_what_it_says_and_nothing_else(code: str) -> None:
    about = {"topic": "order.dead-letters", "code": code, "count": 1, "newest_at": None, "example": ""}
    told = stuck_shown(StuckRow("dead_letter", None, START, "k", code, about)).command_line
    assert told is not None
    typed = parser().parse_args(shlex.split(told)[1:])
    assert (typed.topic, typed.reason, typed.apply) == ("order.dead-letters", code, None)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"problems": 1}', b'{"problems": [{}]}', b"[" * 200_000])
async def test_a_service_that_answers_nonsense_is_told_of(body: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})

    async with served(app) as port:
        (told,) = await refused({"order": f"http://127.0.0.1:{port}"})
    assert (told.about["service"], told.sentence) == ("order", "What it answers is no health of ours.")
