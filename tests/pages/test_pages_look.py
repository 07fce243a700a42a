"""Every page in a browser: nobody is shut out of it, and it fits a phone."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from deploy.stories.dialogue import Scene
from schemas.visibility import Viewer
from tests.pages.browser import Site, picture, tab, violations
from tests.support.looking import before_the_mediator

pytestmark = pytest.mark.timeout(600)
PAGES: dict[str, tuple[Viewer | None, str]] = {
    "sign-in": (None, "/sign-in"),
    "settings": ("mediator", "/settings"),
    "cases": ("operator", "/cases"),
    "case": ("mediator", "/cases/seen-1/d1"),
    "case-for-the-seller": ("seller", "/cases/seen-1/d1"),
    "as-it-was": ("operator", "/cases/seen-1/d1?at=2026-03-02T09:00:01Z"),
    "order": ("operator", "/orders/seen-1"),
    "orders": ("buyer", "/orders"),
    "decide": ("mediator", "/orders/seen-1/acts/mediation.decide?fixed%3Adispute_id=d1&refund_minor=100.00"),
    "add-evidence": ("buyer", "/orders/seen-1/acts/dispute.appeal?fixed%3Adispute_id=d1&evidence.0.uri=x"),
    "comes-to": ("mediator", "/cases/seen-1/d1/comes-to?refund_minor=100.00&return_required=no"),
    "stuck": ("operator", "/stuck"),
    "money": ("operator", "/money?day=2026-03-02"),
    "policies": ("operator", "/policies?name=aliexpress"),
    "plan": ("operator", "/stuck/plan?what=reassign&mediator=mara&to=noel"),
    "what-if": ("operator", "/policies/what-if"),
    "not-there": ("operator", "/cases/seen-1/d9"),
}
WIDTHS = {1280: "light", 360: "dark"}


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_shuts_nobody_out(chromium: Any, site: Site, name: str) -> None:
    case, mediator = await before_the_mediator(Scene(site.office.stage, "seen"))
    stuck = await Scene(site.office.stage, "stuck").placed_order(":refuse.answer", 0, lamp=10_00)
    await stuck.seller.says("order.cancel", reason="It is sold out.")
    await site.office.stage.sleep(timedelta(days=1))
    role, address = PAGES[name]
    people = {"buyer": case.buyer.id, "seller": case.seller.id, "mediator": mediator.id, "operator": "olga", None: ""}
    for (width, _), scheme in product(WIDTHS.items(), ("light", "dark")):
        async with tab(chromium, site, role, people[role], width=width, color_scheme=scheme) as page:
            answer = await page.goto(site.address + address)
            assert answer.status == (404 if name == "not-there" else 200)
            assert await violations(page) == [], f"{width} wide, {scheme}"
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, "the page itself is never pushed sideways"
            if WIDTHS[width] == scheme == "light":
                await picture(page, name)


async def test_a_page_in_german_is_one(chromium: Any, site: Site) -> None:
    case, mediator = await before_the_mediator(Scene(site.office.stage, "seen"))
    async with tab(chromium, site, "mediator", mediator.id, locale="de-DE") as page:
        await page.goto(f"{site.address}/cases/{case.order_id}/d1")
        assert await page.get_attribute("html", "lang") == "de"
        assert await violations(page) == []
        await picture(page, "case-in-german")
