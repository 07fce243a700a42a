"""Every event names the clocks of where it leads to, as they will happen (R83)."""

import json
from typing import Any, get_args

import pytest

from schemas.dispute.shapes import DisputeDeadline
from schemas.mediation.shapes import MediationDeadline
from schemas.order.shapes import OrderDeadline
from schemas.timer.commands import Schedule
from schemas.visibility import REMINDER, Viewer, view
from schemas.wire import Actor, Message, Service
from services.composition import DECIDERS
from tests.domain import dispute_desk, order_desk
from tests.domain.dispute_desk import HAT, SHIRTS, DisputeDesk, desk_in, refund
from tests.domain.mediation_room import room_at, under
from tests.domain.order_desk import OrderDesk
from tests.domain.table import Desk

pytestmark = pytest.mark.rule("R83")

# What runs, in turn; `-` is nothing. Orders and cases with reminders, where there is money to be reminded of.
ORDERS = """
unpaid          payment_window
not_paid        -
awaiting        processing_reminder processing_ends
cancelled       -
shipped         protection_reminder protection_ends
all_disputed    protection_reminder
one_disputed    protection_reminder protection_ends
one_refunding   protection_reminder protection_ends
all_refunding   -
all_settled     -
confirmed       -
reclaimed       -
expired         -
part_shipped    processing_reminder processing_ends protection_reminder protection_ends
part_disputed   processing_reminder processing_ends protection_reminder
part_confirmed  processing_reminder processing_ends
part_cancelled  protection_reminder protection_ends
"""

DISPUTES = """
requested            -
refused              -
awaiting_seller      reminder seller_first_response auto_escalation
negotiating          auto_escalation
in_mediation         -
decided              reminder appeal_window
awaiting_return      reminder return_ship
return_shipped       reminder return_confirm
awaiting_replacement reminder replacement_ship
replacement_shipped  reminder replacement_confirm
closed               -
"""

CASES = """
seeking                             mediator_due mediation_max
assigned                            mediator_due mediation_max
assigned>asked_both                 answer_reminder answer mediation_max
assigned>asked_both>buyer_answered  answer_reminder answer mediation_max
assigned>asked_buyer>asked_seller2  answer_reminder answer_reminder answer answer mediation_max
assigned>asked_seller>silence       mediator_due mediation_max
assigned>decided                    -
assigned>decided>appealed           mediator_due mediation_max
run_out                             -
accepted                            -
cancelled                           -
"""


def rows(table: str) -> list[tuple[str, list[str]]]:
    return [(state, [] if names == ["-"] else names) for state, *names in map(str.split, table.strip().splitlines())]


def told(desk: Desk) -> Any:
    """The last that was said aloud of where it stands."""
    return next(one for one in reversed(desk.history) if getattr(one, "status", None) is not None)


def names(event: Any) -> list[str]:
    return [clock.name for clock in event.deadlines]


def ordered(name: str, monkeypatch: pytest.MonkeyPatch) -> OrderDesk:
    order_desk.under(monkeypatch, reminders=True)
    desk = OrderDesk()
    order_desk.STATES[name](desk)
    return desk


@pytest.mark.parametrize(("state", "expected"), rows(ORDERS))
def test_an_order_names_its_own(state: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(told(ordered(state, monkeypatch))) == expected


@pytest.mark.parametrize(("state", "expected"), rows(DISPUTES))
def test_a_dispute_names_its_own(state: str, expected: list[str]) -> None:
    assert names(told(desk_in(state, reminders=True))) == expected


@pytest.mark.parametrize(("path", "expected"), rows(CASES))
def test_a_case_names_its_own_and_its_questions(path: str, expected: list[str]) -> None:
    assert names(told(room_at(path, policy=under(reminders=True)))) == expected


def test_no_state_is_left_out() -> None:
    assert [state for state, _ in rows(ORDERS)] == [state for state in order_desk.STATES if state != "nothing"]
    assert [state for state, _ in rows(DISPUTES)] == [state for state in dispute_desk.STATES if state != "unknown"]


@pytest.mark.parametrize(
    ("service", "published"), [("order", OrderDeadline), ("dispute", DisputeDeadline), ("mediation", MediationDeadline)]
)
def test_every_name_that_there_may_be_is_seen_somewhere(service: Service, published: Any) -> None:
    seen = {name for table in (ORDERS, DISPUTES, CASES) for _, running in rows(table) for name in running}
    assert set(get_args(published)) <= seen
    assert get_args(published) == DECIDERS[service].deadline_names


def test_the_first_of_them_is_what_the_alarm_is_set_for() -> None:
    for path in ("seeking", "assigned>asked_both"):
        room = room_at(path, policy=under(reminders=True))
        alarm = next(one for one in reversed(room.history) if isinstance(one, Schedule))
        first = told(room).deadlines[0]
        assert (first.name, first.at) == (alarm.name, alarm.due_at)


def test_of_several_disputes_each_names_its_own() -> None:
    desk = DisputeDesk()
    desk.request()
    desk.freeze(lines=(SHIRTS,))
    desk.reject()
    desk.request(refund(HAT.amount_minor), "d2")
    assert names(told(desk)) == []
    desk.wait(days=1)
    desk.freeze("d2", (HAT,))
    opened = told(desk)
    assert names(opened) == ["seller_first_response", "auto_escalation"]
    assert {clock.at for clock in opened.deadlines} == {opened.seller_answer_by, opened.escalates_at}


def test_a_refusal_names_them_but_to_whom_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = ordered("shipped", monkeypatch)
    refused: Any = desk.ship()[-1]
    assert (refused.code, names(refused)) == ("wrong_state", ["protection_reminder", "protection_ends"])
    stranger: Any = desk.ship(Actor(role="seller", id="sid"))[-1]
    assert (stranger.code, stranger.deadlines) == ("not_allowed", None)
    nowhere: Any = OrderDesk().ship()[-1]
    assert (nowhere.code, nowhere.deadlines) == ("not_found", None)

    dispute = desk_in("negotiating")
    assert names(dispute.ship_return()[-1]) == ["auto_escalation"]
    dispute.speaker = Actor(role="seller", id="sid")
    turned_away: Any = dispute.reject()[-1]
    assert (turned_away.code, turned_away.deadlines) == ("not_allowed", None)

    room = room_at("assigned")
    assert names(room.answer(order_desk.BUYER)[-1]) == ["mediator_due", "mediation_max"]
    outsider: Any = room.decide(by="m9")[-1]
    assert (outsider.code, outsider.deadlines) == ("not_allowed", None)


@pytest.mark.rule("C9")
def test_no_clock_tells_the_seller_of_a_no_thanks() -> None:
    room = room_at("assigned>solution")
    before = told(room).deadlines
    room.decline()
    assert told(room).deadlines == before


@pytest.mark.parametrize("viewer", get_args(Viewer))
def test_everybody_sees_them_but_when_somebody_is_reminded_operators_alone(viewer: Viewer) -> None:
    event = told(desk_in("awaiting_seller", reminders=True))
    every = json.loads(event.model_dump_json())["deadlines"]
    reminding = [clock for clock in every if clock["name"].endswith(REMINDER)]
    assert reminding
    assert [clock["name"] for clock in every] == names(event)
    seen = [clock for clock in every if viewer == "operator" or clock not in reminding]
    assert view(event, viewer).data["deadlines"] == seen


def test_what_was_said_before_they_were_told_is_still_read() -> None:
    event: Message = told(room_at("assigned"))
    said = json.loads(event.model_dump_json())
    del said["deadlines"]
    earlier: Any = type(event).read(json.dumps(said))
    assert earlier.deadlines is None
