"""What is shown of one order: who may do what (N3), what follows if nobody acts (N4), what a decision comes to (N1),
how it was (N8), and what became of a command; and what somebody must not see, nobody can tell by it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.stories.claims import before_a_mediator, decision, disputed, stands
from deploy.stories.dialogue import Participant, PlayedOrder, Scene, refund
from schemas.notification.events import NotificationSent
from schemas.notification.shapes import ToldRecipient
from services.casefile.shown.reading import Asked, Found
from services.casefile.shown.shapes import ActShown, CaseShown, Player
from services.casefile.shown.showing import preview, show_case, show_command, show_order
from services.casefile.shown.told import ToldEvent, for_him
from shared.kernel.ports import Record
from tests.support.casefile import Office, open_office


@pytest.fixture
async def office() -> Office:
    return await open_office()


async def found(office: Office, case: PlayedOrder) -> Found:
    known = await office.tables.find(case.order_id)
    assert known is not None
    return known


def he(one: Participant) -> Asked:
    return Asked(one.role, one.id)  # type: ignore[arg-type]


async def case_of(office: Office, case: PlayedOrder, who: Participant | Asked, **more: Any) -> CaseShown:
    asked, known = who if isinstance(who, Asked) else he(who), await found(office, case)
    shown = show_case(known, "d1", office.stage.world.policies, asked, office.stage.world.bus.now, **more)
    assert shown is not None
    return shown


def player(shown: CaseShown, role: str) -> Player:
    return next(one for one in shown.players if one.role == role)


def act(one: Player, type_: str, **fixed: Any) -> ActShown:
    acts = [*one.available_actions, *one.never]
    return next(act for act in acts if act.type == type_ and fixed.items() <= act.fixed.items())


OLGA = Asked("operator", "olga")


async def a_dispute(office: Office) -> PlayedOrder:
    case = await Scene(office.stage, "shown").shipped_order(lamp=10_01)
    await disputed(case, 10_01)
    return case


async def test_each_is_shown_what_he_may_do_until_when_and_why_not(office: Office) -> None:
    case = await a_dispute(office)

    shown = await case_of(office, case, case.seller)

    rejecting, contesting = (act(player(shown, "seller"), f"dispute.{name}") for name in ("reject", "contest_return"))
    assert rejecting.possible
    assert rejecting.mandatory
    assert rejecting.why is None
    assert rejecting.until == shown.row.due_at
    assert shown.row.due_what == "seller_first_response"
    assert rejecting.then == ["dispute.offer_made"]
    assert not contesting.possible
    assert contesting.until is None
    assert contesting.why is not None
    assert contesting.why.code == "wrong_state"
    message = act(player(shown, "seller"), "dispute.send_message")
    assert (message.possible, message.mandatory) == (True, False), "it is no answer (R24)"
    theirs = act(player(shown, "buyer"), "dispute.escalate")
    assert theirs.from_ is not None
    assert theirs.why is None
    assert theirs.then == []
    assert act(player(shown, "buyer"), "dispute.cancel", expect="reopenable").possible


async def test_whose_turn_it_is_hands_on_with_what_answers(office: Office) -> None:
    case = await a_dispute(office)
    mediator = await before_a_mediator(case)
    await mediator.says("mediation.ask", dispute_id="d1", question_id="q1", to="both", question="Which box?")

    shown = await case_of(office, case, OLGA)

    assert shown.row.waiting_for == ["buyer", "seller"]
    for side in ("buyer", "seller"):
        assert act(player(shown, side), "mediation.answer", question_id="q1").mandatory
        assert not act(player(shown, side), "dispute.add_evidence").mandatory
    assert [one.role for one in shown.players] == ["buyer", "seller", "mediator", "operator"]
    await case.buyer.says("mediation.answer", dispute_id="d1", question_id="q1", text="The small one.")
    shown = await case_of(office, case, mediator)
    assert act(player(shown, "seller"), "mediation.answer", question_id="q1").mandatory
    assert not act(player(shown, "buyer"), "mediation.answer", question_id="q1").possible


async def test_if_nobody_acts_is_told_until_the_money_has_moved(office: Office) -> None:
    case = await a_dispute(office)

    shown = await case_of(office, case, case.buyer, locale="de")

    assert [one.event for one in shown.nobody_acts][-2:] == ["refund.settled", "order.completed"]
    (paid,) = (one for one in shown.nobody_acts if one.buyer_minor or one.seller_minor)
    assert (paid.buyer_minor, paid.text) == (10_01, "Dem Käufer erstattet, Erstattung 10,01 EUR, Erstattung")
    assert (shown.ends.buyer_minor, shown.ends.seller_minor, shown.ends.held_minor) == (10_01, 0, 0)
    assert shown.ends.at == paid.at
    await case.hears("dispute.closed", after="seller_first_response", outcome="seller_silent")
    await case.ends(buyer=10_01, seller=0)


async def test_money_on_hold_does_not_end_by_itself(office: Office) -> None:
    case = await a_dispute(office)
    await case.operator.says("refund.hold", reason="The bank asks.")

    shown = await case_of(office, case, case.buyer)

    assert shown.order.on_hold
    assert (shown.ends.at, shown.ends.held_minor) == (None, 10_01)


async def test_a_mediator_sees_what_each_decision_comes_to(office: Office) -> None:
    case = await a_dispute(office)
    mediator = await before_a_mediator(case)

    shown = await case_of(office, case, mediator)

    ends = {one.name: (one.outcome.ends.buyer_minor, one.outcome.ends.seller_minor) for one in shown.options}
    assert ends["nothing"] == (0, 10_01)
    assert ends["half"] == (5_00, 5_01)
    assert ends["all"] == (10_01, 0)
    assert {"half_with_return", "all_with_return"} <= {*ends}
    returned = next(one for one in shown.options if one.name == "all_with_return").outcome
    assert "dispute.return_awaited" in [one.event for one in returned.nobody_acts]
    assert ends["all_with_return"] == (0, 10_01), "a return that nobody sends"
    assert [one.name for one in (await case_of(office, case, OLGA)).options] == [*ends]
    assert (await case_of(office, case, case.buyer)).options == []
    half = next(one for one in shown.options if one.name == "half")
    await mediator.says(half.type, **half.data)
    await stands(case)
    await case.ends(buyer=5_00, seller=5_01)
    assert (await case_of(office, case, mediator)).options == [], "it is decided"


async def test_what_never_came_is_not_sent_back(office: Office) -> None:
    case = await Scene(office.stage, "shown").shipped_order(lamp=10_00)
    await disputed(case, 10_00, received=False, reason="not_received", description="It never came.")
    mediator = await before_a_mediator(case)
    shown = await case_of(office, case, mediator)
    assert [one.name for one in shown.options] == ["nothing", "half", "all"]


async def test_a_preview_is_what_happens_and_a_refusal_is_an_outcome(office: Office) -> None:
    case = await a_dispute(office)
    mediator = await before_a_mediator(case)
    policies, now, known = office.stage.world.policies, office.stage.world.bus.now, await found(office, case)
    said = decision(3_00, "So be it.", rule="R46")

    outcome = preview(known, policies, he(mediator), "mediation.decide", said, now)
    refused = preview(known, policies, OLGA, "mediation.decide.v1", said, now, locale="de")

    assert outcome.answer == "mediation.decided"
    assert outcome.refused is None
    assert (outcome.ends.buyer_minor, outcome.ends.seller_minor) == (3_00, 7_01)
    assert refused.answer == "mediation.rejected"
    assert refused.refused is not None
    assert (refused.refused.code, refused.refused.message) == ("not_allowed", "Dazu ist er nicht berechtigt.")
    assert (await found(office, case)).records == known.records, "nothing was sent"
    seen = len(case.seen)
    await mediator.says("mediation.decide", **said)
    happened = [one.type for one in case.seen[seen:] if not one.type.startswith(("notification", "timer"))]
    assert sorted(one.event for one in outcome.at_once) == sorted(happened)


@pytest.mark.parametrize(
    ("type_", "data", "why"),
    [
        ("order.explode", {}, "There is no command order.explode about an order."),
        ("timer.schedule", {}, "There is no command timer.schedule about an order."),
        ("dispute.opened", {}, "There is no command dispute.opened about an order."),
        ("mediation.retire_mediator", {"mediator_id": "mia"}, "mediation.retire_mediator cannot be said so: order_id"),
        ("order.cancel", {"lines": 7}, "order.cancel cannot be said so: lines"),
        ("order.cancel", {"reason": object()}, "The data is no JSON object."),
        ("order.cancel", 7, "The data is no JSON object."),
    ],
)
async def test_what_cannot_be_said_is_said(office: Office, type_: str, data: Any, why: str) -> None:
    case = await a_dispute(office)
    known = await found(office, case)
    with pytest.raises(ValueError, match="^" + why.replace(".", "[.]")):
        preview(known, office.stage.world.policies, OLGA, type_, data, office.stage.world.bus.now)


async def test_a_stranger_cannot_tell_that_there_is_an_order(office: Office) -> None:
    case = await a_dispute(office)
    known, policies, now = await found(office, case), office.stage.world.policies, office.stage.world.bus.now
    for stranger in (Asked("buyer", case.seller.id), Asked("seller", "nobody"), Asked("mediator", "nobody")):
        assert show_order(known, policies, stranger, now) is None
        assert show_case(known, "d1", policies, stranger, now) is None
        assert show_command(known, f"{case.order_id}/1", stranger) is None
        with pytest.raises(ValueError, match=r"^There is no such order[.]$"):
            preview(known, policies, stranger, "order.cancel", {}, now)
    assert show_case(known, "d2", policies, OLGA, now) is None


@pytest.mark.rule("C9")
async def test_the_seller_cannot_tell_that_his_offer_was_declined() -> None:
    """The same history twice, but for that: every answer to him is the same, at every later instant."""
    told = []
    for declines in (False, True):
        office = await open_office()
        case = await a_dispute(office)
        await before_a_mediator(case)
        offer = await case.seller.says("mediation.offer", dispute_id="d1", terms=refund(4_00))
        if declines:
            await case.buyer.says("mediation.decline_offer", dispute_id="d1", offer_id=offer["offer_id"])
        shown = await case_of(office, case, case.seller)
        told.append(json.dumps(_without_ids(shown.model_dump(mode="json"))))
        buyers = await case_of(office, case, case.buyer)
        assert act(player(buyers, "buyer"), "mediation.accept_offer", offer_id=offer["offer_id"]).possible != declines
        assert [one.is_open for one in buyers.offers if one.offer.offer_id == offer["offer_id"]] == [not declines]
    assert told[0] == told[1]
    assert "accept_offer" not in json.dumps([one["type"] for one in _acts(told[0], "buyer")])


def _acts(told: str, role: str) -> list[dict[str, Any]]:
    (acts,) = (one["available_actions"] for one in json.loads(told)["players"] if one["role"] == role)
    found: list[dict[str, Any]] = acts
    return found


def _without_ids(value: Any) -> Any:
    """What differs between two plays of one history, and how far the case file has read."""
    match value:
        case dict():
            named = {"id", "event_id", "as_of", "delivery_id", "letters"}
            return {name: _without_ids(part) for name, part in value.items() if name not in named}
        case list():
            return [_without_ids(part) for part in value]
    return value


async def test_offers_files_and_the_timeline_are_told(office: Office) -> None:
    case = await a_dispute(office)
    photo = {"evidence_id": "e9", "kind": "photo", "uri": "https://files.example.com/9", "media_type": "image/png",
             "size_bytes": 9, "sha256": "a" * 64}  # fmt: skip
    await case.seller.says("dispute.add_evidence", dispute_id="d1", evidence=[photo])
    again = photo | {"evidence_id": "e10", "supersedes": "e9"}
    await case.seller.says("dispute.add_evidence", dispute_id="d1", evidence=[again])
    await case.seller.says("dispute.offer", dispute_id="d1", terms=refund(2_00))

    shown = await case_of(office, case, case.buyer)

    assert [(one.offer.offer_id, one.offer.by, one.is_open) for one in shown.offers] == [
        (1, "buyer", True),
        (2, "seller", True),
    ]
    assert [(one.evidence_id, one.by, one.superseded) for one in shown.evidence] == [
        ("e9", "seller", True),
        ("e10", "seller", False),
    ]
    assert shown.evidence_complete == {"buyer": False, "seller": True}
    assert shown.row.evidence == {"buyer": 0, "seller": 2}
    offered = next(one for one in shown.timeline if one.type == "dispute.offer_made")
    assert (offered.who, offered.actor, offered.text) == (
        "seller",
        case.seller.id,
        "Offer made, refund 2.00 EUR, seller",
    )
    assert [one.event for one in shown.ledger] == ["refund.captured"]


async def test_what_became_of_a_command(office: Office) -> None:
    case = await a_dispute(office)
    await case.seller.says("dispute.cancel", refused="not_allowed", dispute_id="d1", expect="reopenable")
    known = await found(office, case)
    ids = {record.headers and dict(record.headers)["ce_id"].decode(): record for record in known.commands}  # type: ignore[union-attr]
    last = f"{case.order_id}/{case._said}"
    opened = next(id_ for id_, one in ids.items() if dict(one.headers)["ce_type"] == b"dispute.open.v1")

    refused = show_command(known, last, he(case.seller), "de")
    answered = show_command(known, str(opened), he(case.buyer))
    before = replace(known, records=_before(known.records, b"dispute.opened.v1"))
    pending = show_command(before, str(opened), he(case.buyer))
    unheard = Found(
        known.order_id, _before(known.records, b"dispute.rejected.v1"), known.roster, known.commands, known.as_of
    )

    assert refused is not None
    assert (refused.status, refused.is_final) == ("refused", True)
    assert refused.why is not None
    assert refused.why.code == "not_allowed"
    assert refused.type == "dispute.cancel"
    assert answered is not None
    assert (answered.status, answered.is_final) == ("answered", True)
    assert [one.type for one in answered.answers] == ["dispute.requested", "dispute.opened"]
    assert pending is not None
    assert (pending.status, pending.is_final) == ("pending", False)
    shown = show_command(unheard, last, he(case.seller))
    assert shown is not None
    assert (shown.status, shown.answers) == ("pending", [])
    assert show_command(known, last, he(case.buyer)) is None, "ids are each actor's own (R77)"
    assert show_command(known, "nobody's", OLGA) is None


async def test_what_was_set_aside_is_told(office: Office) -> None:
    case = await a_dispute(office)
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"c-77"), ("ce_type", b"dispute.cancel.v1")]
    await office.stage.say("dispute.commands", case.order_id, headers, b"{no JSON")
    await office.stage.sleep(office.stage.slack)

    shown = show_command(await found(office, case), "c-77", OLGA)

    assert shown is not None
    assert (shown.status, shown.is_final, shown.type) == ("dead_letter", True, "dispute.cancel")
    assert shown.why is not None
    assert shown.why.code == "not_json"


def _before(records: Any, type_: bytes) -> list[Record]:
    found: list[Record] = []
    for record in records:
        if dict(record.headers).get("ce_type") == type_:
            return found
        found.append(record)
    return found


async def test_as_it_was(office: Office) -> None:
    """N8: what each could do at an instant, and what he saw."""
    case = await a_dispute(office)
    opened: datetime = office.stage.world.bus.now
    await case.days(2)
    await case.seller.says("dispute.offer", dispute_id="d1", terms=refund(2_00))
    await case.days(1)

    then, now = await case_of(office, case, case.buyer, at=opened), await case_of(office, case, case.buyer)

    assert (then.row.dispute_status, now.row.dispute_status) == ("awaiting_seller", "negotiating")
    assert not any(one.type == "dispute.accept_offer" for one in player(then, "buyer").available_actions)
    assert act(player(now, "buyer"), "dispute.accept_offer", offer_id=2).possible
    assert (len(then.offers), len(now.offers)) == (1, 2)
    assert then.timeline == now.timeline[: len(then.timeline)]
    assert then.at == opened
    known = await found(office, case)
    early = known.as_of.at.replace(year=2000)
    assert show_case(known, "d1", office.stage.world.policies, OLGA, now.at, at=early) is None


async def test_the_buyers_payment_is_captured_once_it_is_held() -> None:
    office = await open_office()
    order = await Scene(office.stage, "paid").shipped_order(lamp=10_00)

    shown = await office.desk.order(Asked("operator", "olga"), order.order_id)

    assert [(leg.leg, leg.stage, leg.due_by) for leg in shown.legs] == [("capture", "captured", None)]


async def test_of_letters_each_is_shown_his_own_and_operators_all(office: Office) -> None:
    case = await a_dispute(office)
    mediator = await before_a_mediator(case)
    await mediator.says("mediation.ask", dispute_id="d1", question_id="q1", to="both", question="Which box?")
    await case.buyer.says("mediation.answer", dispute_id="d1", question_id="q1", text="The small one.")

    shown = {role: (await case_of(office, case, who)).letters for role, who in people_of(case, mediator).items()}

    assert [one.to for one in shown["operator"] if one.template == "mediation.answered"] == [
        "buyer",
        "seller",
        "mediator",
    ]
    for role in ("buyer", "seller", "mediator"):
        assert shown[role] == [one for one in shown["operator"] if one.to == role]
        assert shown[role]


def people_of(case: PlayedOrder, mediator: Participant) -> dict[str, Asked]:
    return {"buyer": he(case.buyer), "seller": he(case.seller), "mediator": he(mediator), "operator": OLGA}


def test_what_a_mediator_was_told_is_not_for_who_sits_there_now() -> None:
    mia = ToldRecipient(role="mediator", id="mia", delivery_id="d1", channel="topic", attempts=1)
    at = datetime(2026, 3, 2, tzinfo=UTC)
    sent = NotificationSent(
        order_id="o",
        event_type="x.y.v1",
        event_at=at,
        template="x.y",
        recipients=(mia,),
        visible_to=("mediator", "operator"),
    )
    told = [ToldEvent(at, "e1", "", sent)]

    assert for_him(told, Asked("mediator", "mia")) == for_him(told, OLGA) == told
    assert for_him(told, Asked("mediator", "max")) == []
