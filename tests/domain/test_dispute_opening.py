"""A claim: what it must have, and what it becomes once its lines are frozen (R8–R18b, R58)."""

from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from schemas.common import EVIDENCE_FILES_MAX, Reason
from schemas.dispute.commands import OpenDispute
from schemas.dispute.events import DisputeAppealed, DisputeOpened, DisputeRequested, EvidenceAdded, OpenRefused
from schemas.dispute.shapes import ChosenLine
from schemas.wire import Actor
from tests.domain.dispute_desk import (
    BEA,
    BUYER,
    CLAIMED_MINOR,
    HAT,
    NOTHING,
    PROTECTED_UNTIL,
    SAM,
    SELLER,
    SHIRTS,
    DisputeDesk,
    desk_in,
    goods_back,
    new_parcel,
    photo,
    photos,
    refund,
    under,
)
from tests.domain.table import NOON, outcome

RECEIVED = [
    "not_as_described",
    "wrong_item",
    "wrong_variant",
    "damaged",
    "defective",
    "missing_quantity",
    "counterfeit",
    "empty_parcel",
]
NOT_RECEIVED = ["not_received", "late", "wrong_tracking", "seller_did_not_ship"]


@pytest.mark.rule("R0")
def test_a_request_carries_the_time_of_the_buyers_command() -> None:
    desk = DisputeDesk()
    lines = (ChosenLine(line_id="shirts", quantity=2), ChosenLine(line_id="hat"))
    (requested,) = desk.request(lines=lines, evidence=(photo("p1"),))
    assert isinstance(requested, DisputeRequested)
    assert requested.received_at == NOON
    assert (requested.lines, requested.terms, requested.status) == (lines, refund(), "requested")
    assert requested.actor == BUYER


@pytest.mark.rule("C1")
def test_the_three_clocks_run_from_the_freeze() -> None:
    desk = DisputeDesk()
    desk.request()
    desk.wait(days=1)
    opened, _alarm = desk.freeze()
    assert isinstance(opened, DisputeOpened)
    start = NOON + timedelta(days=1)
    assert opened.seller_answer_by == start + timedelta(days=15)
    assert opened.escalatable_from == start + timedelta(days=7)
    assert opened.escalates_at == start + timedelta(days=15)
    assert opened.disputable_until == PROTECTED_UNTIL
    assert (opened.offer_id, opened.terms, opened.claimed_minor) == (1, refund(), CLAIMED_MINOR)
    people = (BEA.only_id, SAM.only_id)
    assert (opened.lines, opened.buyer, opened.seller, opened.currency) == ((SHIRTS, HAT), *people, "EUR")


def test_without_escalation_by_hand_there_is_no_instant_for_it() -> None:
    desk = DisputeDesk(under(manual_escalation=None))
    desk.request()
    opened = desk.freeze()[0]
    assert isinstance(opened, DisputeOpened)
    assert opened.escalatable_from is None


def test_a_refusal_of_the_order_service_is_handed_on() -> None:
    desk = DisputeDesk()
    desk.request()
    (refused,) = desk.refuse_freeze()
    assert isinstance(refused, OpenRefused)
    assert (refused.code, refused.status) == ("too_late", "closed")
    assert refused.details == {"lost_at": "2026-03-01T00:00:00.000Z"}


@pytest.mark.rule("R11")
def test_every_reason_is_on_one_side() -> None:
    assert sorted([*RECEIVED, *NOT_RECEIVED]) == sorted(get_args(Reason)), "RECEIVED or NOT_RECEIVED, above?"


@pytest.mark.rule("R10")
@pytest.mark.rule("R11")
@pytest.mark.parametrize("received", [True, False])
@pytest.mark.parametrize("reason", [*RECEIVED, *NOT_RECEIVED])
def test_received_decides_the_reasons(received: bool, reason: Any) -> None:
    desk = DisputeDesk()
    if received == (reason in RECEIVED):
        assert outcome(desk.request(received=received, reason=reason)) == "requested"
    else:
        with pytest.raises(ValidationError, match="does not go with received"):
            desk.request(received=received, reason=reason)


@pytest.mark.rule("R12")
@pytest.mark.rule("R13")
@pytest.mark.parametrize(
    "wrong",
    [
        {"description": ""},
        {"lines": ()},
        {"lines": (ChosenLine(line_id="hat"), ChosenLine(line_id="hat", quantity=1))},
        {"terms": {"kind": "refund", "refund_minor": 0}},
        {"terms": {"kind": "refund", "refund_minor": 10.0}},
        {"received": False, "reason": "not_received", "terms": goods_back()},
    ],
    ids=str,
)
def test_what_no_claim_can_be_is_no_command(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DisputeDesk().request(**wrong)


@pytest.mark.rule("R12")
@pytest.mark.rule("R13")
def test_a_buyer_does_not_claim_nothing() -> None:
    assert outcome(DisputeDesk().request(NOTHING)) == "not_allowed"


@pytest.mark.rule("R8")
def test_only_a_buyer_opens_and_only_the_one_of_the_order() -> None:
    desk = DisputeDesk()
    assert outcome(desk.say(OpenDispute, SELLER, **_claim())) == "not_allowed"
    desk.open()
    assert outcome(desk.say(OpenDispute, Actor(role="buyer", id="bob"), "d2", **_claim())) == "not_allowed"
    assert outcome(desk.say(OpenDispute, BUYER, "d2", **_claim())) == "requested"


def _claim() -> dict[str, Any]:
    return {"received": True, "reason": "damaged", "description": "Torn", "terms": refund()}


@pytest.mark.rule("R14")
def test_two_disputes_of_one_order_go_their_own_ways() -> None:
    desk = DisputeDesk()
    for dispute_id, line in (("d1", SHIRTS), ("d2", HAT)):
        desk.request(refund(500), dispute_id)
        assert outcome(desk.freeze(dispute_id, (line,))) == "opened"
    desk.accept(1, SELLER)
    assert desk.dispute("d1").case.lines == (SHIRTS,)
    assert outcome(desk.show(photo("p1"), dispute_id="d1")) == "wrong_state"
    assert outcome(desk.show(photo("p1"), dispute_id="d2")) == "evidence_added"


@pytest.mark.rule("R58")
def test_each_party_shows_twenty_files_in_each_stage() -> None:
    desk = DisputeDesk()
    assert outcome(desk.request(evidence=photos("a", EVIDENCE_FILES_MAX + 1))) == "limit_exceeded"
    desk.open(evidence=photos("a", 15))
    assert outcome(desk.modify(evidence=photos("b", 6))) == "limit_exceeded"
    assert outcome(desk.modify(evidence=photos("b", 4))) == "modified"
    assert outcome(desk.show(photo("c"))) == "evidence_added"
    assert outcome(desk.show(photo("d"))) == "limit_exceeded"
    assert outcome(desk.show(*photos("s", EVIDENCE_FILES_MAX), by=SELLER)) == "evidence_added"
    desk.reject()
    assert outcome(desk.show(photo("d"))) == "limit_exceeded"
    desk.escalate()
    assert outcome(desk.show(*photos("e", EVIDENCE_FILES_MAX))) == "evidence_added"
    assert outcome(desk.show(photo("f"))) == "limit_exceeded"
    desk.decide()
    desk.appeal(BUYER, *photos("g", EVIDENCE_FILES_MAX - 1))
    assert outcome(desk.show(*photos("h", 2))) == "limit_exceeded"
    assert outcome(desk.show(photo("h"))) == "evidence_added"


@pytest.mark.rule("R58")
def test_an_appeal_and_a_contest_have_the_same_limit() -> None:
    too_many = photos("x", EVIDENCE_FILES_MAX + 1)
    assert outcome(desk_in("decided").appeal(BUYER, *too_many)) == "limit_exceeded"
    assert outcome(desk_in("return_shipped").contest(*too_many)) == "limit_exceeded"


@pytest.mark.rule("R58")
def test_evidence_is_superseded_and_never_changed() -> None:
    desk = DisputeDesk()
    desk.open(evidence=(photo("p1"), photo("p2", supersedes="p1")))
    assert outcome(desk.show(photo("p1"))) == "already_exists"
    assert outcome(desk.show(photo("p3"), photo("p3"))) == "already_exists"
    assert outcome(desk.show(photo("p3", supersedes="p9"))) == "not_found"
    assert outcome(desk.show(photo("s1", supersedes="p1"), by=SELLER)) == "not_allowed"
    (added,) = desk.show(photo("p3", supersedes="p2"))
    assert isinstance(added, EvidenceAdded)
    assert (added.by, added.evidence, added.unsolicited) == ("buyer", (photo("p3", supersedes="p2"),), False)


@pytest.mark.rule("R58")
def test_a_claim_is_held_to_it_before_anything_else_is_known() -> None:
    assert outcome(DisputeDesk().request(evidence=(photo("p1"), photo("p1")))) == "already_exists"
    assert outcome(DisputeDesk().request(evidence=(photo("p1", supersedes="p0"),))) == "not_found"


@pytest.mark.rule("R58")
def test_in_mediation_unasked_evidence_is_flagged_or_refused() -> None:
    (added,) = desk_in("in_mediation").show(photo("p1"), by=SELLER)
    assert isinstance(added, EvidenceAdded)
    assert added.unsolicited
    assert outcome(desk_in("in_mediation", unsolicited_evidence="refuse").show(photo("p1"))) == "wrong_state"


@pytest.mark.rule("R58")
def test_what_was_shown_to_the_mediator_is_evidence_of_the_dispute() -> None:
    desk = desk_in("in_mediation")
    desk.answer(photo("a1"))
    desk.answer(*photos("s", EVIDENCE_FILES_MAX), by="seller")

    assert outcome(desk.show(photo("a1"))) == "already_exists"
    assert outcome(desk.show(photo("u1", supersedes="a1"), by=SELLER)) == "not_allowed"
    assert outcome(desk.show(photo("u1"), by=SELLER)) == "limit_exceeded"
    assert outcome(desk.show(photo("u1", supersedes="a1"))) == "evidence_added"
    desk.decide()
    (appealed,) = desk.appeal(BUYER, photo("anew", supersedes="u1"))
    assert isinstance(appealed, DisputeAppealed)
    filed = {one.evidence_id: one.by for one in appealed.filed}
    assert (filed["a1"], filed["u1"], filed["anew"], filed["s-0"]) == ("buyer", "buyer", "buyer", "seller")


@pytest.mark.rule("R12")
def test_replacements_are_offered_only_where_the_policy_knows_them() -> None:
    desk = desk_in("negotiating", replacement=False)
    assert outcome(desk.modify(terms=new_parcel())) == "not_allowed"
    assert outcome(desk.offer(new_parcel())) == "not_allowed"
    assert outcome(desk_in("negotiating").offer(new_parcel())) == "offer_made"
