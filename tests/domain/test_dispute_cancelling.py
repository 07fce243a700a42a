"""Giving up a claim: what it costs depends on when (R28–R33)."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from schemas.common import PieceNumbers
from schemas.dispute.events import DisputeCancelled, DisputeClosed
from schemas.wire import Message
from tests.domain.dispute_desk import (
    HAT,
    PROTECTED_UNTIL,
    SELLER,
    SHIRTS,
    DisputeDesk,
    desk_in,
    goods_back,
    rejection,
    under,
)
from tests.domain.table import NOON, outcome

MOMENT = timedelta(milliseconds=1)


def ends(said: list[Message]) -> tuple[DisputeCancelled, DisputeClosed]:
    cancelled, closed = said
    assert isinstance(cancelled, DisputeCancelled)
    assert isinstance(closed, DisputeClosed)
    return cancelled, closed


@pytest.mark.rule("R30")
def test_cancelled_in_time_the_lines_are_what_they_were() -> None:
    desk = desk_in("negotiating")
    cancelled, closed = ends(desk.cancel("reopenable"))
    assert cancelled.reopenable_until == PROTECTED_UNTIL
    assert (closed.outcome, closed.final, closed.status) == ("cancelled", False, "closed")
    assert (closed.refund_minor, closed.release_minor) == (0, 0)
    assert outcome(desk.open(dispute_id="d2")) == "opened"


@pytest.mark.rule("R31")
def test_cancelled_too_late_they_are_the_sellers() -> None:
    """Story 4: protection ran out during the dispute."""
    desk = DisputeDesk(disputable_until=NOON + timedelta(days=3))
    desk.open()
    desk.now = NOON + timedelta(days=3) + MOMENT
    cancelled, closed = ends(desk.cancel("released_to_seller"))
    assert cancelled.reopenable_until is None
    assert (closed.outcome, closed.final) == ("cancelled", True)
    assert (closed.refund_minor, closed.release_minor) == (0, 1_500)


@pytest.mark.rule("R29")
def test_who_is_mistaken_about_the_consequence_cancels_nothing() -> None:
    desk = DisputeDesk(disputable_until=NOON + timedelta(days=3))
    desk.open()
    desk.now = NOON + timedelta(days=3)
    refused = rejection(desk.cancel("released_to_seller"))
    assert (refused.code, refused.details) == ("consequence_changed", {"actual": "reopenable"})
    desk.wait(milliseconds=1)
    refused = rejection(desk.cancel("reopenable"))
    assert refused.code == "consequence_changed"
    assert refused.details == {"actual": "released_to_seller", "lost_at": "2026-03-05T12:00:00.000Z"}
    with pytest.raises(ValidationError):
        desk.cancel("settled_on_offer")


@pytest.mark.rule("R30")
@pytest.mark.rule("C8")
def test_cancelled_the_right_way() -> None:
    """Story 3: the seller extends protection first, so cancelling leaves the buyer his rights."""
    desk = DisputeDesk(disputable_until=NOON + timedelta(days=3))
    desk.open()
    desk.extend(days=10)
    desk.now = NOON + timedelta(days=13)
    cancelled, closed = ends(desk.cancel("reopenable"))
    assert cancelled.reopenable_until == NOON + timedelta(days=13)
    assert not closed.final


@pytest.mark.rule("R4")
def test_an_extension_counts_for_every_open_dispute_of_the_order() -> None:
    desk = DisputeDesk(disputable_until=NOON + timedelta(days=3))
    desk.open(dispute_id="d1")
    desk.open(dispute_id="d2")
    desk.request(dispute_id="d3")
    desk.cancel(dispute_id="d1")
    desk.extend(days=10)
    assert desk.dispute("d2").case.disputable_until == NOON + timedelta(days=13)
    assert desk.refolded() == desk.state
    desk.freeze("d3")
    assert desk.dispute("d3").case.disputable_until == NOON + timedelta(days=13)
    desk.now = NOON + timedelta(days=4)
    assert outcome(desk.cancel("reopenable", "d2")) == "cancelled+closed"


@pytest.mark.rule("R30")
def test_a_buyer_may_come_back_as_often_as_he_likes() -> None:
    desk = DisputeDesk()
    for number in range(5):
        desk.open(dispute_id=f"d{number}")
        assert outcome(desk.cancel("reopenable", f"d{number}")) == "cancelled+closed"


@pytest.mark.rule("R30")
def test_under_other_rules_the_last_cancel_is_for_good() -> None:
    desk = DisputeDesk(under(max_reopens=1))
    desk.open(dispute_id="d1")
    desk.cancel("reopenable", "d1")
    desk.open(dispute_id="d2")
    assert rejection(desk.cancel("reopenable", "d2")).details == {"actual": "released_to_seller"}
    assert ends(desk.cancel("released_to_seller", "d2"))[1].final


@pytest.mark.rule("R30")
def test_coming_back_is_counted_for_the_lines_it_is_about() -> None:
    desk = DisputeDesk(under(max_reopens=1))
    for dispute_id, line in (("d1", SHIRTS), ("d2", HAT)):
        desk.request(dispute_id=dispute_id)
        desk.freeze(dispute_id, (line,))
        assert outcome(desk.cancel("reopenable", dispute_id)) == "cancelled+closed"


@pytest.mark.rule("R30")
@pytest.mark.rule("R65")
def test_coming_back_is_counted_for_the_pieces_it_is_about() -> None:
    """What became of other pieces of the line is no earlier dispute over these; one shared piece is."""
    desk = DisputeDesk(under(max_reopens=1))
    for dispute_id, pieces in (("d1", (1, 1)), ("d2", (2, 3)), ("d3", (1, 2))):
        numbers = PieceNumbers(first=pieces[0], last=pieces[1])
        desk.request(dispute_id=dispute_id)
        desk.freeze(dispute_id, (SHIRTS.model_copy(update={"pieces": numbers}),))
        if dispute_id != "d3":
            assert outcome(desk.cancel("reopenable", dispute_id)) == "cancelled+closed"
    assert rejection(desk.cancel("reopenable", "d3")).details == {"actual": "released_to_seller"}


@pytest.mark.rule("R30")
@pytest.mark.rule("R65")
def test_a_whole_line_shares_pieces_with_each_of_its_pieces() -> None:
    desk = DisputeDesk(under(max_reopens=1))
    for dispute_id, last in (("d1", 5), ("d2", None)):
        numbers = PieceNumbers(first=5, last=last) if last else None
        desk.request(dispute_id=dispute_id)
        desk.freeze(dispute_id, (SHIRTS.model_copy(update={"pieces": numbers}),))
        expected = "cancelled+closed" if last else "consequence_changed"
        assert outcome(desk.cancel("reopenable", dispute_id)) == expected


@pytest.mark.rule("R33")
def test_cancelling_a_return_is_cancelling_the_dispute() -> None:
    """Story 10, return cancelled."""
    cancelled, closed = ends(desk_in("awaiting_return").cancel("reopenable"))
    assert cancelled.reopenable_until == PROTECTED_UNTIL
    assert not closed.final
    desk = DisputeDesk(disputable_until=NOON)
    desk.open(goods_back())
    desk.accept(1, SELLER)
    desk.wait(days=1)
    assert outcome(desk.cancel("reopenable")) == "consequence_changed"
    assert ends(desk.cancel("released_to_seller"))[1].final


@pytest.mark.rule("R33")
def test_after_a_decision_cancelling_gives_everything_away() -> None:
    desk = desk_in("in_mediation", appeals=0)
    assert outcome(desk.decide(return_required=True)) == "decided+return_awaited"
    assert rejection(desk.cancel("reopenable")).details == {"actual": "released_to_seller"}
    cancelled, closed = ends(desk.cancel("released_to_seller"))
    assert cancelled.reopenable_until is None
    assert (closed.final, closed.release_minor) == (True, 1_500)


@pytest.mark.rule("R31")
@pytest.mark.parametrize(("late", "final"), [(False, False), (True, True)])
def test_a_silent_buyer_whose_policy_cancels(late: bool, final: bool) -> None:
    """`alibaba-ta`: silence in mediation is a cancelled dispute (R30, R31)."""
    desk = desk_in("in_mediation")
    desk.now = PROTECTED_UNTIL + late * MOMENT
    cancelled, closed = ends(desk.default(effect="cancelled"))
    assert cancelled.reopenable_until == (None if final else PROTECTED_UNTIL)
    assert (closed.outcome, closed.final) == ("cancelled", final)


@pytest.mark.rule("R31")
def test_silence_on_appeal_cancels_for_good() -> None:
    desk = desk_in("decided")
    desk.appeal()
    cancelled, closed = ends(desk.default(effect="cancelled", round_=2))
    assert (cancelled.reopenable_until, closed.final) == (None, True)


@pytest.mark.rule("R44")
def test_cancelling_the_arbitration_gives_everything_to_the_seller_at_once() -> None:
    """Story 9."""
    (closed,) = desk_in("in_mediation").give_up()
    assert isinstance(closed, DisputeClosed)
    assert (closed.outcome, closed.final) == ("arbitration_cancelled", True)
    assert (closed.refund_minor, closed.release_minor) == (0, 1_500)
