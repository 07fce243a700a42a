"""Disputes may begin with the first parcel (R66): over what was shipped, and over nothing else."""

from datetime import timedelta

import pytest

from schemas.order import commands, events
from services.order.lines import Money
from tests.domain.dispute_desk import DisputeDesk
from tests.domain.order_desk import SELLER, answer, only, under
from tests.domain.table import NOON, cells, newest, outcome
from tests.domain.test_parcels import parts, placed, two_cups_shipped

pytestmark = pytest.mark.rule("R66")

DAY = timedelta(days=1)


def test_what_is_not_shipped_is_not_disputed() -> None:
    desk = two_cups_shipped()

    refused = only(desk.claim("hat", refund_minor=1), events.FreezeRefused)

    assert (refused.code, refused.details) == ("too_early", None)
    assert refused.message == "What is not shipped yet cannot be disputed."


def test_without_a_choice_the_claim_is_over_what_was_shipped() -> None:
    desk = two_cups_shipped()

    frozen = only(desk.claim(refund_minor=401), events.LinesFrozen)

    assert (parts(frozen), frozen.claimed_minor) == ([("cups", 1, 2)], 401)
    assert desk.money == Money(unshipped_minor=1_102, disputed_minor=401)


def test_too_early_goes_before_too_late() -> None:
    desk = two_cups_shipped()
    desk.say(commands.ExtendProcessing, days=30)
    desk.say(commands.ExtendProcessing, days=30)
    desk.wait(days=61)

    assert answer(desk.claim("hat", refund_minor=1)) == "too_early"
    assert answer(desk.claim("cups", refund_minor=1)) == "too_late"


PIECES = {
    "released_and_held": lambda desk: [desk.parcel(("cups", 3)), desk.confirm(), desk.parcel(("cups", 1))],
    "disputed_and_held": lambda desk: [desk.parcel(("cups", 3)), desk.claim(refund_minor=1), desk.parcel(("cups", 1))],
    "settled_and_held": lambda desk: [
        desk.parcel(("cups", 3)), desk.claim(refund_minor=1), desk.close("decided", 1), desk.parcel(("cups", 1)),
    ],
    "disputed_alone": lambda desk: [desk.parcel(("cups", 3)), desk.claim(refund_minor=1)],
    "held_rest_cancelled": lambda desk: [
        desk.parcel(("cups", 3)), desk.say(commands.Cancel, SELLER, lines=("cups",), reason="Sold out"),
    ],
}  # fmt: skip
"""Five cups, of which the fifth, at least, is in no parcel."""
WHOLE_LINE = """
                      one               three             four              five              no_number
released_and_held     1-3:1             1-3:3             1-3:3,4-4:1       too_early         1-3:3,4-4:1
disputed_and_held     4-4:1             already_disputed  already_disputed  too_early         4-4:1
settled_and_held      4-4:1             too_early         too_early         too_early         4-4:1
disputed_alone        already_disputed  already_disputed  too_early         too_early         already_disputed
held_rest_cancelled   1-3:1             1-3:3             wrong_state       wrong_state       1-3:3
"""
NAMED_PIECES = """
                      one               three             four              five              no_number
released_and_held     1-1:1             1-3:3             1-3:3,4-4:1       too_early         1-3:3,4-4:1
disputed_and_held     4-4:1             already_disputed  already_disputed  too_early         4-4:1
settled_and_held      4-4:1             too_early         too_early         too_early         4-4:1
disputed_alone        already_disputed  already_disputed  too_early         too_early         already_disputed
held_rest_cancelled   1-1:1             1-3:3             wrong_state       wrong_state       1-3:3
"""
NUMBERS = {"one": 1, "three": 3, "four": 4, "five": 5}


@pytest.mark.rule("R18b")
@pytest.mark.rule("R65")
@pytest.mark.parametrize(
    ("policy", "standing", "number", "expected"),
    [
        (policy, *cell)
        for policy, table in (("whole_line", WHOLE_LINE), ("named", NAMED_PIECES))
        for cell in cells(table)
    ],
)
def test_which_pieces_are_frozen_and_how_many_are_claimed(
    monkeypatch: pytest.MonkeyPatch, policy: str, standing: str, number: str, expected: str
) -> None:
    """`1-3:2`: these pieces are frozen, and two of them are claimed."""
    under(monkeypatch, disputed_pieces=policy)
    desk = placed()
    PIECES[standing](desk)

    said = desk.claim(("cups", NUMBERS[number]) if number in NUMBERS else "cups", refund_minor=1, dispute_id="new")

    if isinstance(frozen := said[0], events.LinesFrozen):
        assert expected == ",".join(
            f"{one.pieces.first}-{one.pieces.last}:{one.quantity}" for one in frozen.lines if one.pieces
        )
    else:
        assert answer(said) == expected
    assert desk.refolded() == desk.state


def test_two_parcels_may_be_in_two_disputes_and_each_settles_its_own() -> None:
    desk = two_cups_shipped()
    desk.claim(refund_minor=401)
    desk.parcel("hat")
    assert answer(desk.claim("hat", refund_minor=500, dispute_id="d2")) == "lines_frozen"

    first, second = desk.close("decided", 401), desk.close("decided", 100, "d2")

    assert only(first, events.Settled).lines[0].pieces is not None
    assert only(second, events.Settled).release_minor == 400
    assert desk.money == Money(unshipped_minor=602, released_minor=400, refunded_minor=501)


@pytest.mark.rule("R30")
def test_what_comes_back_is_one_with_what_was_sent_since() -> None:
    desk = two_cups_shipped()
    desk.claim(refund_minor=1)
    desk.parcel("cups")
    assert [line.quantity for line in desk.state.lines] == [2, 3, 1]

    desk.close("cancelled", final=False)

    assert [line.quantity for line in desk.state.lines] == [5, 1]
    assert desk.refolded() == desk.state


@pytest.mark.rule("R30")
def test_a_later_parcel_gives_who_cancels_his_dispute_more_time() -> None:
    desk = two_cups_shipped()
    desk.wait(days=5)
    second = only(desk.parcel(), events.Shipped)
    quarrel = DisputeDesk(newest()[0], disputable_until=NOON + 5 * DAY)
    quarrel.open()

    quarrel.hear(second)

    quarrel.wait(days=6)
    assert outcome(quarrel.cancel("reopenable")) == "cancelled+closed"


def test_the_first_parcel_tells_no_dispute_anything() -> None:
    quarrel = DisputeDesk(newest()[0])

    assert quarrel.hear(only(two_cups_shipped().history, events.Shipped)) == []
