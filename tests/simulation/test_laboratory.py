"""What was recorded of random histories comes out again as it was, and under another policy what differs is told."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.casefile.laboratory.drafts import Draft
from services.casefile.laboratory.laboratory_shapes import CaseDiffers, NotPlayed
from services.casefile.laboratory.what_if import Compared, cases
from services.casefile.shown.reading import Found
from tests.simulation.plan import RULES, Deal, Plan, draw
from tests.simulation.play import play
from tests.support.recording import recording

HISTORIES = int(os.environ.get("RECOURSE_TEST_LABORATORY", "12"))
PLAYED_AGAIN = 0.8
"""Of histories in which everything goes wrong, at least so many orders."""


TOGETHER = ("at once", "all at once")
"""In one millisecond: which of several services read its own first, nothing tells."""


def faultless(seed: int) -> Plan:
    """The services and the broker do as they should, and no two people act in one millisecond; payments fail as often
    as ever."""
    plan = draw(seed)
    turns = tuple(replace(turn, moment="soon" if turn.moment in TOGETHER else turn.moment) for turn in plan.turns)
    return replace(plan, turns=turns, faults=(), hesitation=0, holes=0)


def recorded(plan: Plan) -> list[Found]:
    bus = play(plan).world.bus
    return recording(bus.heard, bus.clock())


def its_own(found: Found) -> Iterator[Compared | NotPlayed]:
    """Under the policy it lived under, as if that were a draft."""
    placed = next(cases([found], Draft(next(iter(RULES.by_ref.values())), b""), RULES))
    if isinstance(placed, NotPlayed):
        yield placed
    else:
        yield from cases([found], Draft(RULES.of(placed.differs.policy), b""), RULES)


@pytest.mark.timeout(60 + 2 * HISTORIES)
@pytest.mark.parametrize("keeps_commands", [True, False])
def test_played_again_under_its_own_policy_nothing_differs(keeps_commands: bool) -> None:
    wrong: list[tuple[int, NotPlayed | CaseDiffers]] = []
    played = 0
    for seed in range(HISTORIES):
        for found in recorded(faultless(seed)):
            one = found if keeps_commands else replace(found, commands=())
            for case in its_own(one):
                played += 1
                if isinstance(case, NotPlayed):
                    wrong.append((seed, case))
                elif case.differs.differs_in:
                    wrong.append((seed, case.differs))
    assert wrong == []
    assert played >= HISTORIES


@pytest.mark.timeout(60 + 2 * HISTORIES)
def test_where_everything_goes_wrong_most_come_out_as_they_were_and_the_rest_says_why() -> None:
    found = [case for seed in range(HISTORIES) for order in recorded(draw(seed)) for case in its_own(order)]
    not_played = [case for case in found if isinstance(case, NotPlayed)]
    assert [case for case in found if isinstance(case, Compared) and case.differs.differs_in] == []
    assert len(not_played) < (1 - PLAYED_AGAIN) * len(found)
    assert all(case.why for case in not_played)


@pytest.mark.timeout(60 + 2 * HISTORIES)
def test_under_any_other_policy_the_money_is_the_same_in_sum() -> None:
    """Whatever differs: what was captured went to the one, the other and the platform, and none of it twice."""
    differing = 0
    for seed in range(HISTORIES):
        for order in recorded(replace(faultless(seed), deals=tuple(map(_plain, draw(seed).deals)))):
            for policy in RULES.by_ref.values():
                (case,) = cases([order], Draft(policy, b""), RULES)
                assert isinstance(case, Compared), case
                was, would_be = case.differs.was, case.differs.would_be
                differing += bool(case.differs.differs_in)
                sums = {one.buyer_minor + one.seller_minor + one.commission_minor for one in (was, would_be)}
                assert len(sums) == 1 or "cancelled (not_paid)" in (was.outcome["order"], would_be.outcome["order"])
    assert differing > HISTORIES


def _plain(deal: Deal) -> Deal:
    return replace(deal, refund_script="", payout_script="", capture_script="")
