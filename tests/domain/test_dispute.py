"""What can happen in a dispute: every state against every input (docs/RULES.md §4)."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.dispute.events import DisputeClosed, DisputeEvent, DisputeRejected, OfferMade
from schemas.wire import Actor
from services.dispute.case import ClosedDispute, InMediation, Refused, RequestedDispute
from services.dispute.settling import amount_minor
from tests.domain.dispute_desk import (
    BUYER,
    CLAIMED_MINOR,
    HAT,
    NOTHING,
    SELLER,
    STATES,
    DisputeDesk,
    desk_in,
    goods_back,
    new_parcel,
    photo,
    refund,
    rejection,
)
from tests.domain.table import cells, outcome

INPUTS: dict[str, Callable[[DisputeDesk], Any]] = {
    "open": lambda desk: desk.request(),
    "modify": lambda desk: desk.modify(description="Torn and wet"),
    "new_terms": lambda desk: desk.modify(terms=refund(900)),
    "evidence": lambda desk: desk.show(photo("p1")),
    "message": lambda desk: desk.write(),
    "offer": lambda desk: desk.offer(refund(500)),
    "reject": lambda desk: desk.reject(),
    "buyer_offers": lambda desk: desk.offer(refund(800), BUYER),
    "seller_accepts": lambda desk: desk.accept(1, SELLER),
    "buyer_accepts": lambda desk: desk.accept(2, BUYER),
    "cancel": lambda desk: desk.cancel(),
    "escalate": lambda desk: desk.escalate(),
    "ship_return": lambda desk: desk.ship_return(),
    "correct_return_tracking": lambda desk: desk.correct_return(),
    "report": lambda desk: desk.report(),
    "confirm": lambda desk: desk.confirm_return(),
    "contest": lambda desk: desk.contest(),
    "ship_anew": lambda desk: desk.ship_replacement(),
    "confirm_anew": lambda desk: desk.confirm_replacement(),
    "appeal": lambda desk: desk.appeal(),
    "waive": lambda desk: desk.waive(),
    "frozen": lambda desk: desk.freeze(),
    "not_frozen": lambda desk: desk.refuse_freeze(),
    "extended": lambda desk: desk.extend(days=5),
    "decision": lambda desk: desk.decide(),
    "with_return": lambda desk: desk.decide(return_required=True),
    "old_decision": lambda desk: desk.decide(round_=7),
    "default": lambda desk: desk.default(),
    "cancelling": lambda desk: desk.default(effect="cancelled"),
    "answered": lambda desk: desk.answer(photo("a1")),
    "agreed": lambda desk: desk.agree(),
    "agreed_return": lambda desk: desk.agree(goods_back()),
    "agreed_anew": lambda desk: desk.agree(new_parcel()),
    "given_up": lambda desk: desk.give_up(),
    "silence": lambda desk: desk.past(desk.earliest.name if desk.earliest else "nothing"),
}

NEGOTIATING = """
                      open            modify       new_terms            evidence        message       offer
unknown               requested       not_found    not_found            not_found       not_found     not_found
requested             already_exists  wrong_state  wrong_state          wrong_state     wrong_state   wrong_state
refused               already_exists  wrong_state  wrong_state          wrong_state     wrong_state   wrong_state
awaiting_seller       already_exists  modified     modified+offer_made  evidence_added  message_sent  offer_made
negotiating           already_exists  modified     modified+offer_made  evidence_added  message_sent  offer_made
in_mediation          already_exists  wrong_state  wrong_state          evidence_added  wrong_state   wrong_state
decided               already_exists  wrong_state  wrong_state          wrong_state     wrong_state   wrong_state
awaiting_return       already_exists  wrong_state  wrong_state          evidence_added  message_sent  wrong_state
return_shipped        already_exists  wrong_state  wrong_state          evidence_added  message_sent  wrong_state
awaiting_replacement  already_exists  wrong_state  wrong_state          evidence_added  message_sent  wrong_state
replacement_shipped   already_exists  wrong_state  wrong_state          evidence_added  message_sent  wrong_state
closed                already_exists  wrong_state  wrong_state          wrong_state     wrong_state   wrong_state
"""
ENDING = """
                      buyer_offers  seller_accepts         buyer_accepts          cancel            escalate
unknown               not_found     not_found              not_found              not_found         not_found
requested             wrong_state   wrong_state            not_found              wrong_state       wrong_state
refused               wrong_state   wrong_state            not_found              wrong_state       wrong_state
awaiting_seller       offer_made    offer_accepted+closed  not_found              cancelled+closed  too_early
negotiating           offer_made    offer_accepted+closed  offer_accepted+closed  cancelled+closed  escalated
in_mediation          wrong_state   wrong_state            wrong_state            wrong_state       wrong_state
decided               wrong_state   wrong_state            wrong_state            wrong_state       wrong_state
awaiting_return       wrong_state   wrong_state            not_found              cancelled+closed  wrong_state
return_shipped        wrong_state   wrong_state            not_found              wrong_state       wrong_state
awaiting_replacement  wrong_state   wrong_state            not_found              cancelled+closed  wrong_state
replacement_shipped   wrong_state   wrong_state            not_found              wrong_state       escalated
closed                wrong_state   wrong_state            not_found              wrong_state       wrong_state
"""
RETURNING = """
                      ship_return     report           confirm                 contest                     correct_return_tracking
unknown               not_found       not_found        not_found               not_found                   not_found
requested             wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
refused               wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
awaiting_seller       wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
negotiating           wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
in_mediation          wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
decided               wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
awaiting_return       return_shipped  wrong_state      wrong_state             wrong_state                 wrong_state
return_shipped        wrong_state     return_reported  return_received+closed  return_contested+escalated  return_tracking_corrected
awaiting_replacement  wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
replacement_shipped   wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
closed                wrong_state     wrong_state      wrong_state             wrong_state                 wrong_state
"""
REPLACING = """
                      reject       ship_anew            confirm_anew  agreed_anew
unknown               not_found    not_found            not_found     -
requested             wrong_state  wrong_state          wrong_state   -
refused               wrong_state  wrong_state          wrong_state   -
awaiting_seller       offer_made   wrong_state          wrong_state   -
negotiating           offer_made   wrong_state          wrong_state   -
in_mediation          wrong_state  wrong_state          wrong_state   offer_accepted+replacement_awaited
decided               wrong_state  wrong_state          wrong_state   -
awaiting_return       wrong_state  wrong_state          wrong_state   -
return_shipped        wrong_state  wrong_state          wrong_state   -
awaiting_replacement  wrong_state  replacement_shipped  wrong_state   -
replacement_shipped   wrong_state  wrong_state          closed        -
closed                wrong_state  wrong_state          wrong_state   -
"""
DECIDING = """
                      appeal       waive          decision  with_return  old_decision  default  cancelling
unknown               not_found    not_found      -         -            -             -        -
requested             wrong_state  wrong_state    -         -            -             -        -
refused               wrong_state  wrong_state    -         -            -             -        -
awaiting_seller       wrong_state  wrong_state    -         -            -             -        -
negotiating           wrong_state  wrong_state    -         -            -             -        -
in_mediation          wrong_state  wrong_state    decided   decided      -             decided  cancelled+closed
decided               appealed     appeal_waived  -         -            -             -        -
awaiting_return       wrong_state  wrong_state    -         -            -             -        -
return_shipped        wrong_state  wrong_state    -         -            -             -        -
awaiting_replacement  wrong_state  wrong_state    -         -            -             -        -
replacement_shipped   wrong_state  wrong_state    -         -            -             -        -
closed                wrong_state  wrong_state    -         -            -             -        -
"""
HEARD = """
                      frozen  not_frozen    extended  agreed                 agreed_return                  given_up  answered
unknown               -       -             -         -                      -                              -         -
requested             opened  open_refused  -         -                      -                              -         -
refused               -       -             -         -                      -                              -         -
awaiting_seller       -       -             -         -                      -                              -         -
negotiating           -       -             -         -                      -                              -         -
in_mediation          -       -             -         offer_accepted+closed  offer_accepted+return_awaited  closed    -
decided               -       -             -         -                      -                              -         -
awaiting_return       -       -             -         -                      -                              -         -
return_shipped        -       -             -         -                      -                              -         -
awaiting_replacement  -       -             -         -                      -                              -         -
replacement_shipped   -       -             -         -                      -                              -         -
closed                -       -             -         -                      -                              -         -
"""
SILENCE = """
                      silence
awaiting_seller       closed
negotiating           escalated
decided               closed
awaiting_return       closed
return_shipped        return_received+closed
awaiting_replacement  closed
replacement_shipped   closed
"""
TABLES = NEGOTIATING, ENDING, RETURNING, REPLACING, DECIDING, HEARD, SILENCE


@pytest.mark.rule("R24")
@pytest.mark.rule("R28")
@pytest.mark.rule("R36")
@pytest.mark.parametrize(("state", "heard", "expected"), [cell for table in TABLES for cell in cells(table)])
def test_every_state_and_input(state: str, heard: str, expected: str) -> None:
    desk = desk_in(state)
    before = desk.state
    said = INPUTS[heard](desk)
    assert outcome(said) == expected
    assert desk.refolded() == desk.state
    if any(isinstance(message, DisputeRejected) for message in said):
        assert desk.state == before


def test_the_tables_are_whole() -> None:
    """Every input meets every state; silence those that hold a deadline."""
    met = {(state, heard) for table in TABLES for state, heard, _ in cells(table)}
    assert {heard for _, heard in met} == INPUTS.keys()
    for state in STATES:
        holds = desk_in(state).earliest is not None
        assert {heard for known, heard in met if known == state} == INPUTS.keys() - (set() if holds else {"silence"})


@pytest.mark.parametrize("state", STATES)
def test_a_dispute_that_is_not_over_holds_a_deadline(state: str) -> None:
    """But where another service speaks next: the order service of a request, mediation of a case."""
    desk = desk_in(state)
    waits = state in ("unknown", "requested", "refused", "in_mediation", "closed")
    assert (desk.earliest is None) == waits


COMMANDS = [
    heard
    for table in TABLES
    for state, heard, expected in cells(table)
    if (state, expected) == ("unknown", "not_found")
]
"""Everything a person may say of a dispute that is there."""
NOT_THERE = {(state, heard) for table in TABLES for state, heard, expected in cells(table) if expected == "not_found"}


@pytest.mark.rule("R28")
@pytest.mark.parametrize("heard", COMMANDS)
@pytest.mark.parametrize("state", [state for state in STATES if state != "unknown"])
def test_strangers_have_no_say(state: str, heard: str) -> None:
    """Nobody in a role that has no say, nor the buyer or the seller of another order. What is not there comes first."""
    desk = desk_in(state)
    code = "not_found" if (state, heard) in NOT_THERE else "not_allowed"
    strangers = [
        Actor(role="mediator", id="mia"),
        Actor(role="operator", id="olga"),
        Actor(role="buyer", id="bob"),
    ]
    if state not in ("requested", "refused"):  # who the seller is comes with the frozen lines
        strangers.append(Actor(role="seller", id="sid"))
    for stranger in strangers:
        desk.speaker = stranger
        assert outcome(INPUTS[heard](desk)) == code


def test_a_refusal_says_which_dispute_it_is_about_and_where_that_stands() -> None:
    refused = rejection(desk_in("negotiating").ship_return())
    assert (refused.dispute_id, refused.status, refused.refused) == ("d1", "negotiating", "dispute.ship_return.v1")
    refused = rejection(DisputeDesk().ship_return())
    assert (refused.dispute_id, refused.status, refused.code) == ("d1", None, "not_found")


ROUND = st.integers(1, 3)
MONEY = st.integers(1, CLAIMED_MINOR)
TERMS = st.one_of(
    st.just(NOTHING), st.builds(refund, MONEY), st.builds(goods_back, MONEY), st.builds(new_parcel, MONEY)
)
SIDE = st.sampled_from([BUYER, SELLER])
OFFER = st.integers(1, 5)
ACTS: list[st.SearchStrategy[Callable[[DisputeDesk], Any]]] = [
    *(st.just(INPUTS[heard]) for heard in INPUTS if heard != "silence"),
    st.builds(lambda terms: lambda desk: desk.request(terms), TERMS),
    st.builds(lambda terms, by: lambda desk: desk.offer(terms, by), TERMS, SIDE),
    st.builds(lambda terms: lambda desk: desk.modify(terms=terms), TERMS),
    st.builds(lambda offer_id, by: lambda desk: desk.accept(offer_id, by), OFFER, SIDE),
    st.builds(lambda terms, offer_id: lambda desk: desk.agree(terms, offer_id), TERMS, OFFER),
    st.builds(
        lambda money, back, round_: lambda desk: desk.decide(money, back, round_),
        st.integers(0, CLAIMED_MINOR),
        st.booleans(),
        ROUND,
    ),
    st.builds(lambda by: lambda desk: desk.appeal(by), SIDE),
    st.builds(lambda by: lambda desk: desk.waive(by), SIDE),
    st.just(lambda desk: desk.cancel("released_to_seller")),
    st.just(lambda desk: desk.ring()),
    st.just(lambda desk: desk.freeze("d2", (HAT,)) if desk.request(refund(HAT.amount_minor), "d2") else None),
]


@settings(max_examples=300, deadline=None)
@given(
    changes=st.sampled_from(
        [{}, {"seller_silence": "escalate"}, {"appeals": 0}, {"max_reopens": 0}, {"manual_escalation": None}]
    ),
    begin=st.sampled_from(sorted(STATES)),
    story=st.lists(st.tuples(st.one_of(ACTS), st.integers(0, 12)), max_size=25),
)
def test_whatever_is_said_and_whenever(
    changes: dict[str, Any], begin: str, story: list[tuple[Callable[[DisputeDesk], Any], int]]
) -> None:
    """Nothing raises, the events alone are the state, every open end has a clock, and every penny an owner."""
    desk = desk_in(begin, **changes)
    for act, wait in story:
        act(desk)
        assert desk.refolded() == desk.state
        for dispute_id, dispute in (desk.state or {}).items():
            held = [one for one in desk.decider.deadlines(desk.state) if one.subject == dispute_id]
            assert bool(held) != isinstance(dispute, RequestedDispute | Refused | InMediation | ClosedDispute)
        desk.wait(days=wait)
    events = [event for event in desk.history if isinstance(event, DisputeEvent)]
    for dispute_id, dispute in (desk.state or {}).items():
        said = [event for event in events if event.dispute_id == dispute_id]
        assert [event.offer_id for event in said if isinstance(event, OfferMade)] == list(
            range(2, 2 + sum(isinstance(event, OfferMade) for event in said))
        )
        ends = [event for event in said if isinstance(event, DisputeClosed)]
        assert len(ends) == isinstance(dispute, ClosedDispute)
        for end in ends:
            assert said[-1] is end
            assert end.refund_minor <= CLAIMED_MINOR
            assert end.refund_minor + end.release_minor == (end.final and amount_minor(dispute.case))
