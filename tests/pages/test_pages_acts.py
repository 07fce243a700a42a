"""People at work on the pages, in a browser: with the keyboard alone, twice, in vain, and without scripts."""

from typing import Any

import pytest

from deploy.stories.dialogue import Participant, PlayedOrder, Scene
from tests.pages.browser import Site, focus, picture, press, tab, write
from tests.support.looking import before_the_mediator

SENT_TWICE = """async () => {
    const form = document.querySelector("button[value=confirm]").form;
    const sent = () => new URLSearchParams([...new FormData(form), ["step", "confirm"]]);
    await Promise.all([1, 2].map(() => fetch(form.action, {method: "POST", body: sent()})));
}"""
"""What a browser does that loses its patience."""

pytestmark = pytest.mark.timeout(600)
HOSTILE = (
    '"><script>window.broken = true</script><b onmouseover=x>\u202etxt.exe\x07 \u0627\u0644\u0633\u0644\u0627\u0645'
)


@pytest.fixture
async def case(site: Site) -> tuple[PlayedOrder, Participant]:
    return await before_the_mediator(Scene(site.office.stage, "played"))


def _said(site: Site, type_: str) -> int:
    logs = site.office.stage.world.bus.logs.values()
    return sum(("ce_type", type_.encode()) in record.headers for log in logs for record in log)


async def _decided(page: Any, amount: str) -> None:
    """The form of a decision, filled in and looked at."""
    await page.fill("[name=refund_minor]", amount)
    await page.check("[name=return_required][value=no]")
    await page.fill("[name=rationale]", "Neither side can show when it broke; the packaging was thin.")
    await page.click("button[value=preview]")


async def test_aggravated_is_worked_off_with_the_keyboard_alone(
    chromium: Any, site: Site, case: tuple[PlayedOrder, Participant]
) -> None:
    """From the work list to the decision and its money: story 5."""
    played, mediator = case
    async with tab(chromium, site, "mediator", mediator.id) as page:
        await page.goto(f"{site.address}/cases")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/cases/played-1/d1")

        await press(page, "a[href*='acts/mediation.ask']")
        await page.wait_for_url("**/acts/mediation.ask**")
        await write(page, "[name=to]", "both")
        await write(page, "[name=question]", "When was the glass seen whole?")
        await press(page, "button[value=preview]")
        await press(page, "button[value=confirm]")
        await page.wait_for_url("**/commands/**")
        assert _said(site, "mediation.question_asked.v1") == 1
        asked = await played.hears("mediation.question_asked")
        for side, text in ((played.buyer, "Never. It came cracked."), (played.seller, "At packing, see the photo.")):
            await side.says("mediation.answer", dispute_id="d1", question_id=asked["question_id"], text=text)

        await press(page, "a[href='/cases/played-1/d1']")
        await page.wait_for_url("**/cases/played-1/d1")
        assert "At packing, see the photo." in await page.inner_text("main")
        await press(page, "a[href*='acts/mediation.decide']")
        await page.wait_for_url("**/acts/mediation.decide**")
        await write(page, "[name=refund_minor]", "100.00")
        await focus(page, "[name=return_required]")
        await page.keyboard.press("ArrowRight")
        await write(page, "[name=rationale]", "Neither side can show when it broke; the packaging was thin.")
        await write(page, "[name=rules]", "shared-risk")
        await press(page, "button[value=preview]")
        await page.wait_for_selector("button[value=confirm]")
        told = await page.inner_text("main")
        assert "100.00 EUR" in told
        assert "150.00 EUR" in told
        await picture(page, "what-it-comes-to")
        await press(page, "button[value=confirm]")
        await page.wait_for_url("**/commands/**")
        await picture(page, "decided")

        await played.hears("dispute.decided", refund_minor=100_00, release_minor=150_00)
        await played.hears("dispute.closed", after="appeal_window", outcome="decided")
        await played.ends(buyer=100_00, seller=150_00)
        await page.goto(f"{site.address}/cases/played-1/d1")
        ends = await page.inner_text("section[aria-labelledby=nobody-acts]")
        assert "100.00 EUR" in ends
        assert "150.00 EUR" in ends
        assert "100.00 EUR" in await page.inner_text("section[aria-labelledby=ledger]")


async def test_a_refusal_stands_at_its_field(chromium: Any, site: Site, case: tuple[PlayedOrder, Participant]) -> None:
    async with tab(chromium, site, "mediator", case[1].id) as page:
        await page.goto(f"{site.address}/orders/played-1/acts/mediation.decide?fixed%3Adispute_id=d1")
        await _decided(page, "300.00")
        field = page.locator("[name=refund_minor]")
        assert await field.get_attribute("aria-invalid") == "true"
        named = (await field.get_attribute("aria-describedby") or "").split()[0]
        assert await page.inner_text(f"#{named}")
        await page.wait_for_function("document.activeElement.id === 'problems'")
        assert await page.input_value("[name=rationale]")
        await picture(page, "refused-at-its-field")
    assert _said(site, "mediation.decided.v1") == 0


async def test_a_double_click_is_one_command(chromium: Any, site: Site, case: tuple[PlayedOrder, Participant]) -> None:
    async with tab(chromium, site, "mediator", case[1].id) as page:
        await page.goto(f"{site.address}/orders/played-1/acts/mediation.decide?fixed%3Adispute_id=d1")
        await _decided(page, "100.00")
        await page.evaluate(SENT_TWICE)
        await page.dblclick("button[value=confirm]")
        await page.wait_for_url("**/commands/**")
    ids = [id_ for id_, _ in site.office.sender.sent]
    assert len(ids) >= 3
    assert len(set(ids)) == 1
    assert _said(site, "mediation.decided.v1") == 1
    assert _said(site, "mediation.rejected.v1") == 0


async def test_a_lost_answer_is_shown_as_pending_and_asked_for_again(
    chromium: Any, site: Site, case: tuple[PlayedOrder, Participant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.casefile.pages.acting.WAIT_SECONDS", 0.2)
    world, settle = site.office.stage.world, site.office.stage.world.settle

    async def nobody_works() -> None:
        return None

    async with tab(chromium, site, "mediator", case[1].id) as page:
        await page.goto(f"{site.address}/orders/played-1/acts/mediation.decide?fixed%3Adispute_id=d1")
        await _decided(page, "100.00")
        monkeypatch.setattr(world, "settle", nobody_works)
        await page.click("button[value=confirm]")
        await page.wait_for_url("**/commands/**")
        assert "No answer yet" in await page.inner_text("h1")
        await picture(page, "pending")
        await settle()
        await page.click("text=Ask again")
        assert "Done" in await page.inner_text("h1")


async def test_what_somebody_wrote_breaks_nothing(chromium: Any, site: Site) -> None:
    case = await Scene(site.office.stage, "played").disputable_order(lamp=10_00)
    terms = {"kind": "refund", "refund_minor": 10_00}
    claim: dict[str, Any] = {"received": True, "reason": "damaged", "description": HOSTILE, "terms": terms}
    await case.buyer.says("dispute.open", dispute_id="d1", **claim)
    await case.seller.says("dispute.send_message", dispute_id="d1", text=HOSTILE)
    for width in (1280, 360):
        async with tab(chromium, site, "operator", "olga", width=width) as page:
            await page.goto(f"{site.address}/cases/played-1/d1")
            assert not await page.evaluate("'broken' in window")
            texts = page.locator("main bdi", has_text="<script>")
            assert await texts.count() >= 2
            assert await page.locator("main script, main b").count() == 0
            styles = await texts.evaluate_all("(all) => all.map((one) => getComputedStyle(one).unicodeBidi)")
            assert set(styles) == {"isolate"}
            assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_without_scripts_a_case_is_read_and_decided(
    chromium: Any, site: Site, case: tuple[PlayedOrder, Participant]
) -> None:
    async with tab(chromium, site, "mediator", case[1].id, java_script_enabled=False) as page:
        await page.goto(f"{site.address}/cases")
        await page.click("tbody a")
        assert "The glass is cracked" in await page.inner_text("main")
        await page.fill("#try-refund", "37.50")
        await page.click("form[action$='comes-to'] button")
        assert "212.50 EUR" in await page.inner_text("main")
        await page.click("main a[href*='acts/mediation.decide']")
        assert await page.input_value("[name=refund_minor]") == "37.50"
        await _decided(page, "37.50")
        await page.click("button[value=confirm]")
        assert "Done" in await page.inner_text("h1")
    assert _said(site, "mediation.decided.v1") == 1


async def test_with_scripts_another_amount_is_looked_at_on_the_spot(
    chromium: Any, site: Site, case: tuple[PlayedOrder, Participant]
) -> None:
    async with tab(chromium, site, "mediator", case[1].id) as page:
        await page.goto(f"{site.address}/cases/played-1/d1")
        await page.fill("#try-refund", "37.50")
        await page.click("form[action$='comes-to'] button")
        await page.wait_for_selector("#comes-to a")
        assert "212.50 EUR" in await page.inner_text("#comes-to")
        assert page.url.endswith("/cases/played-1/d1")


async def test_signing_in_leads_to_where_one_was_going(chromium: Any, site: Site) -> None:
    async with tab(chromium, site, None) as page:
        await page.goto(f"{site.address}/cases?preset=unassigned")
        await page.select_option("#role", "operator")
        await page.fill("#id", "olga")
        await page.click("main button")
        await page.wait_for_url("**/cases?preset=unassigned")
        await page.click("header button")
        await page.wait_for_url("**/sign-in")
        assert await page.locator("#role").count() == 1
