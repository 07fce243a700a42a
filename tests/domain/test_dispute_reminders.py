"""In a dispute he is reminded whose silence would cost him: in time, once, and of what the rules would do then (R68)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from schemas.common import FrozenLine
from schemas.dispute import commands
from schemas.dispute.events import DisputeClosed, DisputeReminded, OfferMade, ReturnReported
from schemas.wire import Message
from services.dispute.case import DisputeReminderLapsed
from tests.domain.dispute_desk import (
    BUYER,
    SELLER,
    STATES,
    DisputeDesk,
    days,
    desk_in,
    goods_back,
    new_parcel,
    refund,
    under,
)
from tests.domain.table import NOON, cells, outcome

pytestmark = [pytest.mark.rule("R68"), pytest.mark.usefixtures("either_version")]

DAY, MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)
END = {
    "awaiting_seller": "seller_first_response",
    "decided": "appeal_window",
    "awaiting_return": "return_ship",
    "return_shipped": "return_confirm",
    "awaiting_replacement": "replacement_ship",
    "replacement_shipped": "replacement_confirm",
}
"""The clock that runs out in a state."""


def reminded(said: list[Message]) -> list[DisputeReminded]:
    return [one for one in said if isinstance(one, DisputeReminded)]


def held(desk: DisputeDesk) -> bool:
    return any(one.name == "reminder" for one in desk.decider.deadlines(desk.state))


def told(desk: DisputeDesk) -> list[tuple[str, str, int | None, int | None]]:
    """Who is reminded of what, just after the instant for it."""
    return [(one.to, one.otherwise, one.refund_minor, one.release_minor) for one in reminded(desk.past("reminder"))]


# -- when --------------------------------------------------------------------------------------------------------------


def _at_reminder(desk: DisputeDesk) -> list[Message]:
    desk.now = desk.due("reminder")
    return desk.ring()


def _after_reminder(desk: DisputeDesk) -> list[Message]:
    return desk.past("reminder")


def _again(desk: DisputeDesk) -> list[Message]:
    desk.past("reminder")
    desk.wait(hours=1)
    return desk.ring()


def _late(desk: DisputeDesk) -> list[Message]:
    desk.now = desk.due(END[_state(desk)]) - MILLISECOND
    return desk.ring()


def _at_end(desk: DisputeDesk) -> list[Message]:
    desk.now = desk.due(END[_state(desk)])
    return desk.ring()


def _over(desk: DisputeDesk) -> list[Message]:
    return desk.past(END[_state(desk)])


def _over_in_turn(desk: DisputeDesk) -> list[Message]:
    desk.past("reminder")
    return _over(desk)


def _state(desk: DisputeDesk) -> str:
    return str(next(one for one in reversed(desk.history) if hasattr(one, "status")).status)


BELLS: dict[str, Callable[[DisputeDesk], list[Message]]] = {
    "at_its_instant": _at_reminder,
    "just_after": _after_reminder,
    "again": _again,
    "late": _late,
    "at_the_end": _at_end,
    "over": _over,
    "over_in_turn": _over_in_turn,
}
RINGING = """
                      at_its_instant  just_after          again  late                at_the_end  over                    over_in_turn
awaiting_seller       -               reminded            -      reminded            -           closed                  closed
decided               -               reminded+reminded   -      reminded+reminded   -           closed                  closed
awaiting_return       -               reminded            -      reminded            -           closed                  closed
return_shipped        -               reminded            -      reminded            -           return_received+closed  return_received+closed
awaiting_replacement  -               reminded            -      reminded            -           closed                  closed
replacement_shipped   -               reminded            -      reminded            -           closed                  closed
"""


@pytest.mark.parametrize(("state", "bell", "expected"), list(cells(RINGING)))
def test_a_bell_reminds_once_and_not_of_what_is_over(state: str, bell: str, expected: str) -> None:
    desk = desk_in(state, reminders=True)
    assert outcome(BELLS[bell](desk)) == expected
    assert desk.refolded() == desk.state


@pytest.mark.parametrize("state", sorted(STATES.keys() - END.keys()))
def test_where_nobody_is_waited_for_nobody_is_reminded(state: str) -> None:
    assert not held(desk_in(state, reminders=True))


@pytest.mark.parametrize("state", END)
def test_where_the_policy_has_no_reminders_nobody_is_reminded(state: str) -> None:
    desk = desk_in(state, reminders=False)
    assert not held(desk)
    assert {getattr(one, "remind_at", None) for one in desk.history} == {None}


# -- of what -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "after", "expected"),
    [
        ("awaiting_seller", 11.25, [("seller", "settled", 1_000, 500)]),
        ("decided", 5, [("buyer", "settled", 400, 1_100), ("seller", "settled", 400, 1_100)]),
        ("awaiting_return", 7.5, [("buyer", "settled", 0, 1_500)]),
        ("return_shipped", 7.5, [("seller", "settled", 1_000, 500)]),
        ("awaiting_replacement", 7.5, [("seller", "settled", 1_000, 500)]),
        ("replacement_shipped", 45, [("buyer", "settled", 0, 1_500)]),
    ],
)
def test_it_names_what_happens_otherwise_in_money(state: str, after: float, expected: list[Any]) -> None:
    desk = desk_in(state, reminders=True)
    ends_at = desk.due(END[state])
    assert desk.due("reminder") == NOON + after * DAY
    assert told(desk) == expected
    for one in reminded(desk.history):
        assert (one.clock, one.ends_at, one.status) == (END[state], ends_at, state)
        assert one.visible_to == (one.to, "mediator", "operator")


@pytest.mark.parametrize("terms", [goods_back(), new_parcel()], ids=["goods_back", "new_parcel"])
def test_where_goods_move_first_it_says_so(terms: Any) -> None:
    desk = DisputeDesk(under(reminders=True))
    desk.open(terms)
    otherwise = "return_awaited" if terms.kind == "return_and_refund" else "replacement_awaited"
    assert told(desk) == [("seller", otherwise, 1_000, 500)]
    assert outcome(desk.past("seller_first_response")) == otherwise


def test_where_silence_escalates_nothing_is_decided_by_it() -> None:
    desk = desk_in("awaiting_seller", reminders=True, seller_silence="escalate")
    assert told(desk) == [("seller", "escalated", None, None)]


@pytest.mark.parametrize(("status", "expected"), [("in_transit", "settled"), ("failed", "escalated")])
def test_of_a_return_that_cannot_arrive_it_says_that_a_mediator_judges(status: str, expected: str) -> None:
    desk = desk_in("return_shipped", reminders=True)
    desk.report(status)
    assert [what for _, what, *_ in told(desk)] == [expected]


def test_of_gifts_alone_nobody_is_reminded() -> None:
    desk = DisputeDesk(under(reminders=True))
    desk.request(new_parcel(0))
    desk.freeze(lines=(FrozenLine(line_id="hat", quantity=1, amount_minor=0, released=False),))
    assert not held(desk)


def test_who_has_answered_is_reminded_by_no_offer() -> None:
    desk = desk_in("awaiting_seller", reminders=True)
    said = [*desk.offer(refund(300)), *desk.offer(refund(1_100), BUYER)]
    assert [one.remind_at for one in said if isinstance(one, OfferMade)] == [None, None]


# -- what moves it, and what stops it ----------------------------------------------------------------------------------


def test_an_answer_stops_it_and_a_cancel() -> None:
    for act in (DisputeDesk.reject, lambda desk: desk.cancel(), lambda desk: desk.accept(1, SELLER)):
        desk = desk_in("awaiting_seller", reminders=True)
        act(desk)
        assert not held(desk)
    desk = desk_in("awaiting_seller", reminders=True)
    desk.wait(days=8)
    desk.escalate()
    assert not held(desk)


def test_a_higher_claim_moves_it_and_another_word_does_not() -> None:
    desk = DisputeDesk(under(reminders=True, auto_escalation=days(60)))
    desk.open(refund(500))
    desk.wait(days=2)

    desk.offer(refund(400), BUYER)
    assert desk.due("reminder") == NOON + 11.25 * DAY

    desk.offer(refund(1_000), BUYER)
    assert desk.due("reminder") == NOON + (2 + 11.25) * DAY
    assert told(desk) == [("seller", "settled", 1_000, 500)]

    desk.offer(refund(400), BUYER)
    assert not held(desk)
    desk.offer(refund(1_100), BUYER)
    assert [one.ends_at for one in reminded(desk.past("reminder"))] == [desk.due("seller_first_response")]


def test_a_higher_claim_that_escalates_when_it_would_have_reminds_nobody_again() -> None:
    """Its 15 days would be over after the escalation, which does not move (R23)."""
    desk = DisputeDesk(under(reminders=True))
    desk.open(refund(500))
    desk.wait(days=2)
    desk.offer(refund(1_000), BUYER)
    assert desk.due("reminder") == NOON + 11.25 * DAY

    (one,) = reminded(desk.past("reminder"))
    assert (one.otherwise, one.refund_minor, one.ends_at) == ("escalated", None, NOON + 15 * DAY)

    (made,) = (one for one in desk.offer(refund(1_100), BUYER) if isinstance(one, OfferMade))
    assert made.remind_at is None
    assert not held(desk)
    assert outcome(desk.past("auto_escalation")) == "escalated"


def test_days_anew_from_the_delivery_are_reminded_of_anew() -> None:
    desk = desk_in("return_shipped", reminders=True)
    desk.past("reminder")

    (report,) = (one for one in desk.report("delivered") if isinstance(one, ReturnReported))
    assert report.remind_at == desk.now + 7.5 * DAY
    assert [one.ends_at for one in reminded(desk.past("reminder"))] == [report.return_confirm_by]
    (again,) = (one for one in desk.report("delivered") if isinstance(one, ReturnReported))
    assert again.remind_at is None


def test_a_report_that_moves_nothing_leaves_the_reminder() -> None:
    desk = desk_in("return_shipped", reminders=True)
    due = desk.due("reminder")
    desk.wait(days=1)
    desk.report("in_transit")
    assert desk.due("reminder") == due


# -- an appeal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "waived", "expected"),
    [
        ({"refund_minor": 1_000}, [], ["seller"]),
        ({"refund_minor": 1_000, "return_required": True}, [], ["buyer", "seller"]),
        ({"refund_minor": 0}, [], ["buyer"]),
        ({"refund_minor": 400}, [BUYER], ["seller"]),
        ({"refund_minor": 400}, [SELLER], ["buyer"]),
        ({"refund_minor": 0}, [BUYER], []),
    ],
)
def test_he_is_reminded_of_his_appeal_who_lost_and_has_not_waived(
    decided: dict[str, Any], waived: list[Any], expected: list[str]
) -> None:
    desk = desk_in("in_mediation", reminders=True)
    desk.decide(**decided)
    for by in waived:
        desk.waive(by)
    said = desk.past("reminder")
    assert [one.to for one in reminded(said)] == expected
    assert not held(desk)
    assert outcome(desk.past("appeal_window")) == ("return_awaited" if decided.get("return_required") else "closed")


def test_of_a_decision_that_is_final_nobody_is_reminded() -> None:
    desk = desk_in("in_mediation", reminders=True, appeals=0)
    assert outcome(desk.decide()) == "decided+closed"
    assert not held(desk)


# -- several disputes of one order -------------------------------------------------------------------------------------


def test_what_is_late_keeps_its_turn() -> None:
    """The first dispute's reminder was due before the second's, and its end after the other's."""
    shirts, hat = (
        FrozenLine(line_id="shirts", quantity=2, amount_minor=1_000, released=False),
        FrozenLine(line_id="hat", quantity=1, amount_minor=500, released=False),
    )
    desk = DisputeDesk(under(reminders=True, return_ship=days(3)))
    desk.request(refund(500), "d1")
    desk.freeze("d1", (shirts,))
    desk.request(goods_back(500), "d2")
    desk.freeze("d2", (hat,))
    desk.wait(days=11)
    desk.say(commands.AcceptOffer, SELLER, "d2", offer_id=1)
    desk.wait(days=5)

    said = desk.ring()

    assert outcome(said) == "closed+closed"
    assert [one.dispute_id for one in said if isinstance(one, DisputeReminderLapsed)] == ["d1", "d2"]
    assert [one.dispute_id for one in said if isinstance(one, DisputeClosed)] == ["d2", "d1"]
