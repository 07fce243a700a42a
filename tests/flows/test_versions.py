"""Which policies `make demo` plays and compares, and what comes out of comparing an old version with the next."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from deploy.local.demo import in_memory
from deploy.memory import MemoryStage, open_stage
from deploy.stories.book import STORIES
from deploy.stories.dialogue import Scene
from deploy.stories.endings import compared
from deploy.stories.versions import CannotCompare, called, chosen, compared_with
from shared.kernel.codec import header
from shared.kernel.policies import Policies
from shared.kernel.ports import Record
from shared.rules import policies
from shared.rules.policies import PUBLISHED

KNOWN = policies.load()
FIRST = Policies({ref: policy for ref, policy in KNOWN.by_ref.items() if ref.version == 1})


@pytest.mark.parametrize(
    ("asked", "against", "expected"),
    [
        ("aliexpress", None, ("aliexpress.2", "aliexpress.1")),
        ("aliexpress.2", None, ("aliexpress.2", "aliexpress.1")),
        ("aliexpress.1", None, ("aliexpress.1", "aliexpress.2")),
        ("alibaba-ta", None, ("alibaba-ta.2", "aliexpress.2")),
        ("alibaba-ta.2", None, ("alibaba-ta.2", "alibaba-ta.1")),
        ("alibaba-ta.1", None, ("alibaba-ta.1", "aliexpress.2")),
        ("aliexpress", "alibaba-ta", ("aliexpress.2", "alibaba-ta.2")),
        ("demo.1", "aliexpress-2017.1", ("demo.1", "aliexpress-2017.1")),
    ],
)
def test_what_is_played_and_what_it_is_compared_with(
    asked: str, against: str | None, expected: tuple[str, str]
) -> None:
    assert (called(chosen(asked, KNOWN)), called(compared_with(asked, against, KNOWN))) == expected


def test_of_three_versions_the_last_is_compared_with_the_second() -> None:
    ref, second = next((ref, one) for ref, one in KNOWN.by_ref.items() if called(one) == "aliexpress.2")
    third = {ref.model_copy(update={"version": 3}): second.model_copy(update={"version": 3})}
    assert called(compared_with("aliexpress", None, Policies({**KNOWN.by_ref, **third}))) == "aliexpress.2"


@pytest.mark.parametrize("asked", ["nobody-published-this", "aliexpress.7", "aliexpress.", "aliexpress.01", ".1", ""])
def test_who_asks_for_what_is_not_there_is_told_what_is(asked: str) -> None:
    there = "alibaba-ta.1, aliexpress-2017.1, aliexpress.1, demo.1"
    with pytest.raises(CannotCompare) as refusal:
        chosen(asked, FIRST)
    assert str(refusal.value) == f"There is no policy {asked}; there are {there}."
    with pytest.raises(CannotCompare) as other:
        compared_with("aliexpress", asked, FIRST)
    assert str(other.value) == str(refusal.value)


@pytest.mark.parametrize(
    ("asked", "against", "known"),
    [("aliexpress", "aliexpress.2", KNOWN), ("demo.1", "demo.1", KNOWN), ("aliexpress", None, FIRST)],
)
def test_nothing_is_compared_with_itself(asked: str, against: str | None, known: Policies) -> None:
    with pytest.raises(CannotCompare, match=r"^\S+\.[12] would be compared with itself"):
        compared_with(asked, against, known)


async def test_the_two_versions_differ_where_a_rule_does_and_nowhere_else() -> None:
    """Only in story 15 single pieces are disputed; what wants a rule of its own (18, 20, 25) says so itself."""
    new, old = chosen("aliexpress.2", KNOWN), chosen("aliexpress.1", KNOWN)
    ours = {story: await in_memory(story, new) for story in STORIES.values()}
    theirs = {story: await in_memory(story, old) for story in STORIES.values()}

    table = compared(called(new), ours, called(old), theirs)

    assert [column.header for column in table.columns] == ["", "story", called(new), called(old), "differs in"]
    assert called(new) in str(table.title)
    assert called(old) in str(table.title)
    otherwise = dict(zip(STORIES, table.columns[4].cells, strict=True))
    assert {number: what for number, what in otherwise.items() if what} == {15: "money"}
    assert (str(ours[STORIES[15]]), str(theirs[STORIES[15]])) == (
        "61.66 / 53.35 of 115.01 (offer accepted)",
        "58.34 / 56.67 of 115.01 (offer accepted)",
    )


# -- who was there before ----------------------------------------------------------------------------------------------


class Renewed(MemoryStage):
    """As soon as the first order is placed the second version is published."""

    done = False

    async def say(self, topic: str, key: str, headers: Sequence[tuple[str, bytes]], value: bytes | None) -> None:
        await super().say(topic, key, headers, value)
        if topic == "order.commands" and not self.done:
            self.done = True
            await self.world.settle()
            file = f"{self.rules.name}.2.yaml"
            await self.publish(file, (PUBLISHED / file).read_bytes())


def content(record: Record) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(record.value or b"{}")
    recipients = [without_delivery(one) for one in told.get("recipients", ())]
    return without_delivery(told) | ({"recipients": recipients} if recipients else {})


def without_delivery(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != "delivery_id"}


async def told_of_the_first_order(number: int, stage: MemoryStage) -> list[tuple[str, int, str | None, dict[str, Any]]]:
    """Topic, instant, type and content of all that was ever said of it, letters and calls and alarms too. A delivery's
    id comes from the payment service's own, which is another each time."""
    await STORIES[number].play(Scene(stage, "o"))
    return [
        (one.topic, one.timestamp, header(one.headers, "ce_type"), content(one))
        for log in stage.world.bus.logs.values()
        for one in log
        if one.key == b"o-1"
    ]


@pytest.mark.parametrize("number", [1, 5, 6, 7, 12, 13, 15, 22])
async def test_an_order_of_the_first_version_goes_on_as_it_would_have(number: int) -> None:
    """To the cent and the millisecond, though whoever orders now gets the second."""
    before, _ = await open_stage("aliexpress", version=1)
    after = Renewed((await open_stage("aliexpress", version=1))[0].world, "aliexpress")

    told = await told_of_the_first_order(number, before)

    assert await told_of_the_first_order(number, after) == told
    newest = after.world.policies.newest("aliexpress")
    assert newest is not None
    assert newest[1] == chosen("aliexpress.2", KNOWN)
    types = {type_ for _, _, type_, _ in told}
    assert "order.placed.v1" in types
    assert not types & {"order.paid.v1", "payment.confirm.v1", "order.reminded.v1", "dispute.reminded.v1"}
