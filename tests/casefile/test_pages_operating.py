"""Operators at work on the case file's pages: what is stuck is freed, and the money of a day is all there."""

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest

from deploy.stories.book import STORIES
from deploy.stories.dialogue import MEDIATORS, Scene
from services.casefile.shown.reading import Asked, CaseFilter
from tests.house.reading import ROOT
from tests.support.asking import HOST, Answer, ask
from tests.support.casefile import open_office
from tests.support.looking import House, Visitor, before_the_mediator, hidden, open_house

HELD = "/orders/held-1/acts/refund.hold"
BOUNDARY = "x" * 20


@pytest.fixture
async def house() -> AsyncIterator[House]:
    office = await open_office()
    yield open_house(office)
    office.desk.workers.close()


@pytest.fixture
def olga(house: House) -> Visitor:
    return house.visitor("operator", "olga")


def _page(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return answer.body.decode()


@pytest.mark.parametrize("address", ["/stuck", "/money", "/money/entries.csv"])
@pytest.mark.parametrize("role", ["buyer", "seller", "mediator"])
async def test_operators_alone_see_what_concerns_all_orders(house: House, role: str, address: str) -> None:
    visitor = house.visitor(role, "somebody")  # type: ignore[arg-type]
    assert (await visitor.sees(address)).status == 403
    assert 'href="/money"' not in _page(await visitor.sees("/cases"))


@pytest.mark.parametrize("query", ["kind=%00", "account=%00", "account=" + "x" * 600, "cursor=nonsense"])
async def test_a_list_of_what_nobody_could_be_called_is_answered_in_a_sentence(olga: Visitor, query: str) -> None:
    address = "/stuck" if query.startswith("kind") else "/money"
    assert (await olga.sees(f"{address}?{query}")).status == 422


async def test_money_that_a_person_must_look_at_is_found_and_freed(house: House, olga: Visitor) -> None:
    """The provider refuses for good; an operator has it tried again."""
    assert "Everything goes on by itself." in _page(await olga.sees("/stuck"))
    case = await Scene(house.office.stage, "stuck").placed_order(":refuse.answer", 0, lamp=10_00)
    await case.seller.says("order.cancel", reason="It is sold out.")
    await before_the_mediator(Scene(house.office.stage, "fine"))

    page = _page(await olga.sees("/stuck"))
    assert "fine-1" not in page
    (address,) = (unescape(one) for one in re.findall(r'href="(/orders/stuck-1/acts/refund.retry[^"]*)"', page))
    form = await olga.form(address)
    path = address.partition("?")[0]
    looked = _page(await olga.sends(path, {**form, "step": "preview"}))
    sent = await olga.sends(path, {**hidden(looked), "step": "confirm"})
    assert "Done" in _page(await olga.sees(sent.headers["location"]))
    assert "Everything goes on by itself." in _page(await olga.sees("/stuck"))
    await case.hears("refund.settled", refund_minor=10_00)


async def test_a_hold_is_put_and_lifted(house: House, olga: Visitor) -> None:
    await Scene(house.office.stage, "held").shipped_order(lamp=10_00)
    form = await olga.form(HELD)
    looked = _page(await olga.sends(HELD, {**form, "reason": "The bank asks.", "step": "preview"}))
    sent = await olga.sends(HELD, {**hidden(looked), "step": "confirm"})
    assert sent.status == 303
    page = _page(await olga.sees("/orders/held-1"))
    assert "on hold until an operator" in page
    assert "/orders/held-1/acts/refund.unhold" in page


async def test_a_day_of_the_books_is_all_there(house: House, olga: Visitor) -> None:
    scene = Scene(house.office.stage, "booked")
    await STORIES[5].play(scene)
    day = scene.cases[0].seen[0].at.date()
    page = _page(await olga.sees(f"/money?day={day}"))
    assert "250.00 EUR" in page
    assert "booked-1" in page

    table = (await olga.sees(f"/money/entries.csv?day={day}")).body.decode().splitlines()
    assert table[0].startswith("entry_id,order_id,")
    assert len(table) - 1 == len(re.findall(r'<th scope="row"><a href="/orders/', page)) > 0


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "9999-12-31", "0001-01-01"])
async def test_a_day_that_is_none_is_answered_in_a_sentence(olga: Visitor, day: str) -> None:
    answer = await olga.sees(f"/money?day={day}")
    assert answer.status == 422
    assert "There is no such day." in answer.body.decode()


async def test_a_banks_file_is_compared_with_the_books(house: House, olga: Visitor) -> None:
    scene = Scene(house.office.stage, "booked")
    await STORIES[5].play(scene)
    paid = next(event for event in scene.cases[0].seen if event.type == "refund.settled")
    reference, day = paid.data["provider_reference"], f"{paid.at:%Y-%m-%d}"
    csv = f"reference,amount,date\n{reference},99.00,{day}\nnobody,1.00,{day}\n"
    page = _page(await _upload(olga, csv))
    assert "It differs (1)" in page
    assert "Only in the file (1)" in page
    assert "nobody" in page


async def test_a_file_that_is_none_is_answered_in_a_sentence(olga: Visitor) -> None:
    assert (await _upload(olga, "nothing that anybody would send")).status == 422


async def _upload(visitor: Visitor, csv: str) -> Answer:
    """As a browser sends a file."""
    csrf = (await visitor.form("/money"))["csrf"]
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{csrf}\r\n',
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="currency"\r\n\r\neur\r\n',
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="bank.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{csv}\r\n--{BOUNDARY}--\r\n",
    ]
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    headers = {**visitor.headers, "origin": f"http://{HOST}", "content-type": kind}
    return await ask(visitor.house.app, "POST", "/money/match", headers, "".join(parts).encode())


@pytest.mark.parametrize("role", ["operator", "mediator"])
async def test_versions_of_a_policy_are_side_by_side(house: House, role: str) -> None:
    page = _page(await house.visitor(role, "mara").sees("/policies?name=aliexpress"))  # type: ignore[arg-type]
    assert "Version 1" in page
    assert "Version 2" in page
    first, second = (
        house.office.desk.policies().by_ref[ref]
        for ref in sorted(
            (ref for ref in house.office.desk.policies().by_ref if ref.name == "aliexpress"),
            key=lambda ref: ref.version,
        )
    )
    differing = sum(
        getattr(first, key) != getattr(second, key)
        for key in type(first).model_fields
        if key not in ("name", "version")
    )
    assert page.count(">differs<") == differing > 0


async def test_a_policy_that_nobody_published_is_not_there(house: House, olga: Visitor) -> None:
    assert (await olga.sees("/policies?name=nobody")).status == 404
    assert (await house.visitor("buyer", "anna").sees("/policies")).status == 404


async def test_what_a_draft_would_have_changed_is_told(house: House, olga: Visitor) -> None:
    """Who appeals no decision gets his money on the day of it."""
    await STORIES[5].play(Scene(house.office.stage, "recorded"))
    file = (ROOT / "schemas" / "policies" / "aliexpress.2.yaml").read_text()
    draft = re.sub(r"(?m)^appeals: .*$", "appeals: 0", file)
    form = await olga.form("/policies/what-if")
    page = _page(await olga.sends("/policies/what-if", {**form, "draft": draft}))
    assert "recorded-1" in page
    assert "Of 1 cases 1 could be played again as they were; 1 would have gone otherwise." in page
    same = _page(await olga.sends("/policies/what-if", {**form, "draft": file}))
    assert "; 0 would have gone otherwise." in same


@pytest.mark.parametrize(("draft", "sentence"), [("", ""), ("name: [", ""), ("name: x\nversion: 1\n", "country")])
async def test_what_is_wrong_with_a_draft_is_said_beside_it(olga: Visitor, draft: str, sentence: str) -> None:
    form = await olga.form("/policies/what-if")
    page = _page(await olga.sends("/policies/what-if", {**form, "draft": draft}))
    told = page.partition('id="problems"')[2].partition("<form")[0]
    assert "<li" in told
    assert sentence in told


async def test_drafts_are_for_operators(house: House) -> None:
    assert (await house.visitor("mediator", "mara").sees("/policies/what-if")).status == 403


async def test_all_cases_of_a_mediator_are_looked_at_and_then_given_to_others(house: House, olga: Visitor) -> None:
    case, mediator = await before_the_mediator(Scene(house.office.stage, "given"))
    other = next(name for name in MEDIATORS if name != mediator.id)
    rows = await house.office.desk.cases(Asked("operator", "olga"), CaseFilter())
    house.operators.stuck.cases.extend(rows.items)  # type: ignore[attr-defined]
    address = f"/stuck/plan?what=reassign&mediator={mediator.id}&to={other}"
    page = _page(await olga.sees(address))
    assert f"d1 goes from {mediator.id} to {other}" in page

    form = {**hidden(page), "why": "He is on holiday."}
    assert "Kept as number 1" in _page(await olga.sends("/stuck/plan", form))
    assert (await case.hears("mediation.assigned"))["mediator"]["id"] == other


@pytest.mark.parametrize("query", ["what=reassign", "what=nothing", "", "what=reassign&mediator=mara&to=mara"])
async def test_a_plan_that_means_nothing_is_refused(olga: Visitor, query: str) -> None:
    assert (await olga.sees(f"/stuck/plan?{query}")).status == 422


async def test_a_plan_is_carried_out_by_its_token_alone(house: House, olga: Visitor) -> None:
    csrf = (await olga.form("/money"))["csrf"]
    page = _page(await olga.sends("/stuck/plan", {"csrf": csrf, "what": "resume", "token": "0", "why": "So."}))
    assert "The list is another one by now" in page
    assert (await house.visitor("mediator", "mara").sees("/stuck/plan?what=resume")).status == 403
