"""Cases and the roster tell each other where nobody else can write; what others say in their words is refused."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.topics import all_topics
from services.mediation.domain import DECIDER
from shared.kernel.codec import header
from shared.runtime.memory import World
from tests.domain.mediation_room import Room
from tests.domain.table import POLICIES
from tests.support.commands import headers

ROSTER = "mediation.roster"
PLATFORM = {"role": "platform", "id": "mediation"}


class Mediation:
    """The service alone; disputes and operators are the test."""

    def __init__(self) -> None:
        self.world, self._given = World(POLICIES), 0

    async def start(self) -> "Mediation":
        await self.world.add(DECIDER)
        return self

    async def escalate(self, order_id: str) -> None:
        room = Room()
        room.stream.id = order_id
        event = room.escalated()
        about = headers(event.type, f"escalated-{order_id}")
        self.world.bus.append("dispute.events", order_id.encode(), event.model_dump_json().encode(), about)
        await self.world.settle()

    async def say(self, type_: str, key: str, topic: str = "mediation.commands", **data: Any) -> str:
        self._given += 1
        id_ = f"c{self._given}"
        self.world.bus.append(topic, key.encode(), json.dumps(data).encode(), headers(type_, id_))
        await self.world.settle()
        return id_

    async def register(self, who: str, capacity: int = 1) -> None:
        about: dict[str, Any] = {"order_id": "mediators", "actor": {"role": "operator", "id": "olga"}}
        await self.say("mediation.register_mediator.v1", "mediators", **about, mediator_id=who, capacity=capacity)

    def said(self, type_: str) -> Sequence[dict[str, Any]]:
        found = self.world.bus.records("mediation.events")
        return [json.loads(one.value or b"") for one in found if header(one.headers, "ce_type") == type_]

    def assigned(self) -> list[tuple[str, str]]:
        return [(one["order_id"], one["mediator"]["id"]) for one in self.said("mediation.assigned.v1")]

    def answers(self, command_id: str) -> list[str]:
        found = self.world.bus.records("mediation.events")
        about = [one for one in found if header(one.headers, "ce_causationid") == command_id]
        return [json.loads(one.value or b"").get("code", header(one.headers, "ce_type")) for one in about]


@pytest.mark.rule("R48")
async def test_a_case_gets_its_mediator_by_a_topic_that_mediation_alone_writes() -> None:
    mediation = await Mediation().start()
    await mediation.register("mia")

    await mediation.escalate("o1")

    assert mediation.assigned() == [("o1", "mia")]
    between = {header(one.headers, "ce_type") for one in mediation.world.bus.records(ROSTER)}
    assert between == {"mediation.seat.v1", "mediation.assign.v1"}
    in_the_inbox = {header(one.headers, "ce_type") for one in mediation.world.bus.records("mediation.commands")}
    assert in_the_inbox == {"mediation.register_mediator.v1"}
    (topic,) = [topic for topic in all_topics() if topic.name == ROSTER]
    assert topic.writers == {"mediation"}
    assert topic.readers == {"mediation", "casefile", "operator"}


@pytest.mark.rule("R48")
async def test_forged_seats_fill_nobody() -> None:
    mediation = await Mediation().start()
    await mediation.register("mia", capacity=2)
    forged: dict[str, Any] = {
        "actor": PLATFORM,
        "dispute_id": "d1",
        "round": 1,
        "mediator_id": "mia",
        "wanted": False,
        "except": [],
    }

    answers = [
        mediation.answers(await mediation.say("mediation.seat.v1", "mediators", order_id=f"f{n}", **forged))
        for n in range(2)
    ]
    await mediation.escalate("o1")

    assert answers == [["invalid"], ["invalid"]]
    assert mediation.assigned() == [("o1", "mia")]


@pytest.mark.rule("R48")
@pytest.mark.parametrize("name", ["mediation", "anything"])
async def test_nobody_is_made_the_mediator_in_the_name_of_the_platform(name: str) -> None:
    mediation = await Mediation().start()
    await mediation.escalate("o1")
    forged: dict[str, Any] = {
        "order_id": "o1",
        "actor": {"role": "platform", "id": name},
        "dispute_id": "d1",
        "mediator_id": "mallory",
    }

    refused = mediation.answers(await mediation.say("mediation.assign.v1", "o1", **forged))
    by_hand = forged | {"actor": {"role": "operator", "id": "olga"}, "mediator_id": "mia"}
    obeyed = mediation.answers(await mediation.say("mediation.assign.v1", "o1", **by_hand))

    assert (refused, obeyed) == (["not_allowed"], ["mediation.assigned.v1"])
    assert mediation.assigned() == [("o1", "mia")]


@pytest.mark.rule("R48")
async def test_what_cases_and_roster_say_twice_is_heard_once_and_never_refused() -> None:
    """A crash between commit and publication repeats what was said; whoever hears it knows by its number."""
    mediation = await Mediation().start()
    await mediation.register("mia")
    await mediation.register("max")
    await mediation.escalate("o1")
    rows = [len(shard.events) for shard in mediation.world.stores["mediation"].shards.values()]

    said = mediation.world.bus.records(ROSTER)
    assert len(said) == 2, "a wish, and its answer"
    for one in said:
        mediation.world.bus.append(ROSTER, one.key, one.value, one.headers, one.partition)
    await mediation.world.settle()

    assert mediation.assigned() == [("o1", "max")]
    assert [len(shard.events) for shard in mediation.world.stores["mediation"].shards.values()] == rows
    assert mediation.said("mediation.rejected.v1") == []


@pytest.mark.rule("R48")
async def test_an_answer_of_the_roster_that_nobody_waits_for_any_more_changes_nothing() -> None:
    """An operator was faster; the roster hears of it from the case."""
    mediation = await Mediation().start()
    await mediation.escalate("o1")
    by_hand: dict[str, Any] = {
        "order_id": "o1",
        "actor": {"role": "operator", "id": "olga"},
        "dispute_id": "d1",
        "mediator_id": "mia",
    }
    await mediation.say("mediation.assign.v1", "o1", **by_hand)

    late = by_hand | {"actor": PLATFORM, "mediator_id": "max"}
    await mediation.say("mediation.assign.v1", "o1", topic=ROSTER, **late)

    assert mediation.assigned() == [("o1", "mia")]
    assert mediation.said("mediation.rejected.v1") == []
