"""Every story of the rule book on the in-memory composition: under every preset, and where it does not apply."""

from typing import Any

import pytest

from deploy.memory import MemoryStage, open_stage
from deploy.stories.book import STORIES
from deploy.stories.dialogue import DoesNotApply, Scene
from deploy.stories.endings import Ending, compared
from schemas.policy import Duration
from shared.rules import policies

PRESETS = sorted({ref.name for ref in policies.load().by_ref})


@pytest.mark.parametrize("policy", PRESETS)
@pytest.mark.parametrize("number", STORIES, ids=lambda number: f"story-{number}")
async def test_story(number: int, policy: str) -> None:
    stage, _ = await open_stage(policy)
    scene = Scene(stage, f"story-{number}")

    await STORIES[number].play(scene)

    for case in scene.cases:
        assert case.split() == case.expected


def days(n: int) -> Duration:
    return Duration(n=n, unit="days")


async def ends(number: int, **changes: Any) -> list[tuple[int, int]]:
    """(to the buyer, to the seller) of each order, under `aliexpress` but for these keys."""
    stage, _ = await open_stage("aliexpress")
    await Scene(stage, "rules").new_rules(**changes)
    scene = Scene(MemoryStage(stage.world, "aliexpress"), f"story-{number}")
    await STORIES[number].play(scene)
    return [case.split() for case in scene.cases]


@pytest.mark.parametrize(
    ("number", "changes", "usual", "under_these"),
    [
        (6, {"buyer_silence": "cancelled"}, [(0, 90_00)], [(90_00, 0)]),
        (14, {"post_receipt_window": days(30)}, [(0, 60_00), (45_00, 15_00)], [(45_00, 15_00)] * 2),
    ],
)
async def test_where_the_rules_differ_the_end_does(
    number: int, changes: dict[str, Any], usual: list[tuple[int, int]], under_these: list[tuple[int, int]]
) -> None:
    assert await ends(number) == usual
    assert await ends(number, **changes) == under_these


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (1, {"seller_silence": "escalate"}),
        (5, {"manual_escalation": None}),
        (8, {"appeals": 0}),
        (10, {"open_from": days(10)}),
        (17, {"seller_silence": "escalate"}),
    ],
)
async def test_and_where_only_the_way_does_it_is_the_same(number: int, changes: dict[str, Any]) -> None:
    assert await ends(number, **changes) == await ends(number)


@pytest.mark.parametrize(
    ("number", "changes", "why"),
    [
        (3, {"max_reopens": 0}, "what was cancelled is never disputed again"),
        (4, {"post_expiry_window": days(15)}, "there is time to dispute after protection, too"),
        (6, {"buyer_silence": "cancelled", "max_reopens": 0}, "what was cancelled is never disputed again"),
        (9, {"cancel_arbitration": "refused"}, "arbitration cannot be cancelled"),
        (11, {"appeals": 0}, "every decision is final at once"),
        (12, {"max_processing_extensions": 0}, "the time to ship cannot be extended"),
        (14, {"post_receipt_window": days(3)}, "two weeks after receipt nothing may be disputed"),
        (17, {"replacement": True}, "replacements, which the new rules bring, are allowed already"),
    ],
)
async def test_a_story_that_cannot_happen_says_why(number: int, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(DoesNotApply, match=why):
        await ends(number, **changes)


def test_two_policies_side_by_side_show_what_differs() -> None:
    refunded = Ending(((40_00, 0),), 40_00, ("seller silent",))
    decided = Ending(((40_00, 0),), 40_00, ("decided",))
    paid = Ending(((0, 40_00),), 40_00, ("decided",))
    never = Ending(why_not="there are no appeals")
    ours = dict(zip(STORIES.values(), (refunded, refunded, refunded, decided, never, never), strict=False))
    usual = dict(zip(STORIES.values(), (refunded, decided, paid, paid, never, paid), strict=False))

    table = compared("ours", ours, "usual", usual)

    cells = list(table.columns[2].cells)
    assert cells[0] == "40.00 / 0.00 of 40.00 (seller silent)"
    assert cells[4] == "does not apply: there are no appeals"
    assert list(table.columns[4].cells) == ["", "the way", "money and the way", "money", "", "whether it applies"]
