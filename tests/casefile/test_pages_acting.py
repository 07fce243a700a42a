"""Acting on the case file's pages: a form, what it comes to, and a confirmation that counts once."""

import pytest

from deploy.stories.claims import disputed
from deploy.stories.dialogue import Participant, PlayedOrder, Scene
from tests.support.casefile import open_office
from tests.support.looking import House, Visitor, before_the_mediator, hidden, open_house

DECISION = {
    "refund_minor": "100.00",
    "return_required": "no",
    "rationale": "Neither side can show when it broke.",
    "rules": "shared-risk\nR46",
    "evidence_ids": "",
}


@pytest.fixture
async def house() -> House:
    return open_house(await open_office())


@pytest.fixture
async def case(house: House) -> tuple[PlayedOrder, Participant]:
    return await before_the_mediator(Scene(house.office.stage, "acted"))


@pytest.fixture
def mediator(house: House, case: tuple[PlayedOrder, Participant]) -> Visitor:
    return house.visitor("mediator", case[1].id)


DECIDE = "/orders/acted-1/acts/mediation.decide"
LINK = f"{DECIDE}?fixed%3Adispute_id=d1"


async def _preview(visitor: Visitor, link: str, address: str, said: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    form = await visitor.form(link)
    answer = await visitor.sends(address, {**form, **said, "step": "preview"})
    page = answer.body.decode()
    return answer.status, page, hidden(page)


def _said(house: House, type_: str) -> list[bytes]:
    bus = house.office.stage.world.bus
    return [
        record.value or b""
        for (topic, _), log in bus.logs.items()
        if topic.endswith(".events")
        for record in log
        if ("ce_type", type_.encode()) in record.headers
    ]


async def test_a_case_leads_to_a_decision_and_its_money(house: House, mediator: Visitor) -> None:
    page = (await mediator.sees("/cases/acted-1/d1")).body.decode()
    assert f"{DECIDE}?fixed%3Adispute_id=d1" in page
    status, page, form = await _preview(mediator, LINK, DECIDE, DECISION)
    assert status == 200
    assert "100.00 EUR" in page
    assert "150.00 EUR" in page
    assert not _said(house, "mediation.decided.v1"), "what was looked at was not done"

    sent = await mediator.sends(DECIDE, {**form, "step": "confirm"})
    assert sent.status == 303
    answer = (await mediator.sees(sent.headers["location"])).body.decode()
    assert "Done" in answer
    (decided,) = _said(house, "mediation.decided.v1")
    assert b'"refund_minor":10000' in decided
    assert b'"rules":["shared-risk","R46"]' in decided


async def test_a_form_sent_twice_is_one_command(house: House, mediator: Visitor) -> None:
    _, _, form = await _preview(mediator, LINK, DECIDE, DECISION)
    sent = [await mediator.sends(DECIDE, {**form, "step": "confirm"}) for _ in range(2)]
    assert [one.status for one in sent] == [303, 303]
    assert sent[0].headers["location"] == sent[1].headers["location"]
    assert len(_said(house, "mediation.decided.v1")) == 1
    assert not _said(house, "mediation.rejected.v1")


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("refund_minor", "300.00", ""),
        ("refund_minor", "12,50", "An amount is written such as 12.34."),
        ("refund_minor", "1.234", "An amount is written such as 12.34."),
        ("refund_minor", "", "This is needed."),
        ("refund_minor", "-1", "An amount is written such as 12.34."),
        ("return_required", "maybe", "One of the choices is needed."),
        ("rationale", " ", "This is needed."),
        ("rationale", "x" * 4_001, "At most 4000 characters."),
        ("rules", "y" * 256, "At most 255 characters."),
    ],
)
async def test_a_refusal_stands_at_its_field_and_nothing_is_lost(
    house: House, mediator: Visitor, field: str, typed: str, sentence: str
) -> None:
    said = {**DECISION, "rationale": "Kept as it was typed.", field: typed}
    status, page, _ = await _preview(mediator, LINK, DECIDE, said)
    assert status == 422
    _, _, wrong = page.partition(f'id="f-{field}-wrong">')
    assert wrong.startswith('<bdi dir="auto">' + sentence), page
    assert field == "rationale" or "Kept as it was typed.</textarea>" in page
    assert not _said(house, "mediation.decided.v1")


async def test_what_concerns_the_whole_form_stands_at_its_head(mediator: Visitor) -> None:
    said = {**DECISION, "refund_minor": "0", "return_required": "yes"}
    status, page, _ = await _preview(mediator, LINK, DECIDE, said)
    assert status == 422
    assert "nothing is sent back for a refund of 0" in page.partition("<form")[2].partition('id="problems"')[2]


async def test_a_refusal_after_all_is_a_new_form(house: House, case: tuple[PlayedOrder, Participant]) -> None:
    """Somebody else was faster."""
    mediator = house.visitor("mediator", case[1].id)
    _, _, form = await _preview(mediator, LINK, DECIDE, DECISION)
    await case[0].buyer.says("mediation.cancel", dispute_id="d1", expect="released_to_seller")
    sent = await mediator.sends(DECIDE, {**form, "step": "confirm"})
    assert sent.status == 422
    page = sent.body.decode()
    assert 'role="alert"' in page
    assert hidden(page)["command_id"] != form["command_id"]


async def test_what_was_shown_is_what_is_expected(house: House, case: tuple[PlayedOrder, Participant]) -> None:
    buyer = house.visitor("buyer", case[0].buyer.id)
    address = "/orders/acted-1/acts/mediation.cancel"
    status, page, form = await _preview(buyer, f"{address}?fixed%3Adispute_id=d1", address, {})
    assert status == 200
    assert "the money is the seller&#39;s" in page
    assert form["expect"] == "released_to_seller"
    assert (await buyer.sends(address, {**form, "step": "confirm"})).status == 303
    assert len(_said(house, "mediation.cancelled.v1")) == 1


async def test_a_consequence_that_has_changed_is_not_brought_about(house: House) -> None:
    """What he saw goes along with what he confirms."""
    scene = Scene(house.office.stage, "changed")
    case = await scene.disputable_order(lamp=10_00)
    await disputed(case, 10_00)
    buyer, address = house.visitor("buyer", case.buyer.id), "/orders/changed-1/acts/dispute.cancel"
    _, _, form = await _preview(buyer, f"{address}?fixed%3Adispute_id=d1", address, {})
    assert form["expect"] == "reopenable"
    sent = await buyer.sends(address, {**form, "expect": "released_to_seller", "step": "confirm"})
    assert sent.status == 422
    assert not _said(house, "dispute.cancelled.v1")


async def test_rows_are_added_and_files_are_named_by_the_form(
    house: House, case: tuple[PlayedOrder, Participant]
) -> None:
    buyer, address = house.visitor("buyer", case[0].buyer.id), "/orders/acted-1/acts/dispute.appeal"
    form = await buyer.form(f"{address}?fixed%3Adispute_id=d1")
    assert not [name for name in form if name.startswith("evidence.")]
    more = (await buyer.sends(address, {**form, "explanation": "See.", "step": "more:evidence"})).body.decode()
    assert hidden(more)["evidence.0.evidence_id"]
    assert 'name="evidence.0.uri"' in more
    assert ">See.</textarea>" in more


async def test_an_answer_that_does_not_come_is_pending_and_can_be_asked_for(
    house: House, mediator: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.casefile.pages.acting.WAIT_SECONDS", 0.1)
    _, _, form = await _preview(mediator, LINK, DECIDE, DECISION)
    world, settle = house.office.stage.world, house.office.stage.world.settle

    async def nobody_works() -> None:
        return None

    monkeypatch.setattr(world, "settle", nobody_works)
    sent = await mediator.sends(DECIDE, {**form, "step": "confirm"})
    assert sent.status == 303
    pending = (await mediator.sees(sent.headers["location"])).body.decode()
    assert "No answer yet" in pending
    assert "Ask again" in pending
    await settle()
    assert "Done" in (await mediator.sees(sent.headers["location"])).body.decode()


async def test_what_did_not_reach_the_bus_is_sent_again_under_its_id(house: House, mediator: Visitor) -> None:
    _, _, form = await _preview(mediator, LINK, DECIDE, DECISION)
    house.office.sender.is_away = True
    away = await mediator.sends(DECIDE, {**form, "step": "confirm"})
    assert away.status == 503
    again = hidden(away.body.decode())
    assert again["command_id"] == form["command_id"]
    house.office.sender.is_away = False
    assert (await mediator.sends(DECIDE, {**again, "step": "confirm"})).status == 303
    assert len(_said(house, "mediation.decided.v1")) == 1


async def test_a_form_of_another_site_is_not_obeyed(house: House, mediator: Visitor) -> None:
    _, _, form = await _preview(mediator, LINK, DECIDE, DECISION)
    confirmed = {**form, "step": "confirm"}
    foreign = await mediator.sends(DECIDE, confirmed, origin="https://evil.example.com")
    forged = await mediator.sends(DECIDE, {**confirmed, "csrf": "0" * 32})
    assert [foreign.status, forged.status] == [403, 403]
    assert not _said(house, "mediation.decided.v1")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/orders/acted-1/acts/mediation.cancel", 403),
        ("/orders/acted-1/acts/nothing.at_all", 422),
        ("/orders/no-such-order/acts/mediation.decide", 404),
        ("/orders/acted-1/acts/mediation.decide?fixed%3Adispute_id=d9", 404),
        ("/orders/acted-1/acts/mediation.decide?fixed%3Arefund_minor=much", 422),
    ],
)
async def test_a_form_that_is_not_his_is_refused(mediator: Visitor, address: str, status: int) -> None:
    assert (await mediator.sees(address)).status == status


async def test_a_form_without_its_id_begins_anew(house: House, mediator: Visitor) -> None:
    form = await mediator.form(LINK)
    sent = await mediator.sends(DECIDE, {**DECISION, "csrf": form["csrf"], "step": "confirm"})
    assert sent.status == 422
    assert not _said(house, "mediation.decided.v1")


async def test_another_amount_is_looked_at_before_it_is_chosen(mediator: Visitor) -> None:
    address = "/cases/acted-1/d1/comes-to?refund_minor=37.50&return_required=no"
    whole = (await mediator.sees(address)).body.decode()
    part = (await mediator.sees(address, {"hx-request": "true"})).body.decode()
    for page in (whole, part):
        assert "37.50 EUR" in page
        assert "212.50 EUR" in page
        assert "refund_minor=37.50" in page
    assert "<html" not in part
    wrong = (await mediator.sees("/cases/acted-1/d1/comes-to?refund_minor=a+lot")).body.decode()
    assert "An amount is written such as 250.00." in wrong
