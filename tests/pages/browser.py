"""A browser that looks at the pages as people do, served in this process over the system in memory."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.visibility import Viewer
from services.casefile.front.signin import SignIn
from tests.required import not_run
from tests.support.casefile import Office

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
AXE = Path(__file__).with_name("axe.min.js")
SCREENSHOTS = Path(__file__).parents[2] / "docs" / "pages"
PICTURE_BYTES_MAX = 150_000
PICTURE_SCALE = 0.75
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
TABS_MAX = 200


@dataclass(frozen=True)
class Site:
    """The case file at an address, and who may be signed in."""

    office: Office
    signin: SignIn
    address: str

    def cookie(self, role: Viewer, id_: str) -> dict[str, Any]:
        return {"name": self.signin.cookie, "value": self.signin.hand_out(role, id_), "url": self.address}


@asynccontextmanager
async def browser() -> AsyncIterator[Any]:
    """Chromium, or one line that says why there is none."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        not_run("the pages in a browser: not run, playwright is not installed (`make test-pages` does it)")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        not_run(f"the pages in a browser: not run, none of {', '.join(BROWSERS)} is installed")
    async with async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=found, args=list(FLAGS))
        try:
            yield opened
        finally:
            await opened.close()


@asynccontextmanager
async def tab(chromium: Any, site: Site, role: Viewer | None, id_: str = "", **how: Any) -> AsyncIterator[Any]:
    """Somebody's window; `how`: of its width, its colours, whether scripts run. Whatever a page complains of is told at
    the end."""
    window = await chromium.new_context(
        viewport={"width": how.pop("width", 1280), "height": 900}, device_scale_factor=PICTURE_SCALE, **how
    )
    if role is not None:
        await window.add_cookies([site.cookie(role, id_)])
    page = await window.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    try:
        yield page
        assert not complaints, complaints
    finally:
        await window.close()


async def violations(page: Any) -> list[str]:
    """What axe finds against WCAG 2.2 AA and good practice."""
    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate("(of) => axe.run({runOnly: of})", list(RULES))
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]]


async def focus(page: Any, selector: str) -> None:
    """By the Tab key alone."""
    wanted = await page.wait_for_selector(selector, state="attached")
    for _ in range(TABS_MAX):
        if await page.evaluate("(one) => document.activeElement === one", wanted):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not lead to {selector}")


async def press(page: Any, selector: str) -> None:
    """A link or a button."""
    await focus(page, selector)
    await page.keyboard.press("Enter")


async def write(page: Any, selector: str, text: str) -> None:
    """Into a field."""
    await focus(page, selector)
    await page.keyboard.type(text)


async def picture(page: Any, name: str) -> None:
    """Of what somebody sees first. Kept for docs/pages if that is wished: no two are the same to the byte."""
    taken = await page.screenshot()
    assert len(taken) < PICTURE_BYTES_MAX, f"{name}.png is too large for a page of the docs"
    if os.environ.get("RECOURSE_TEST_PICTURES"):
        SCREENSHOTS.joinpath(f"{name}.png").write_bytes(taken)
