"""A browser that looks at the pages as people do, served in this process over the system in memory."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from schemas.visibility import Viewer
from services.casefile.pages.routes import Pages
from services.casefile.signin import SignIn
from services.casefile.web import application
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


@dataclass(frozen=True)
class Site:
    """The case file at an address, and who may be signed in."""

    office: Office
    signin: SignIn
    address: str

    def cookie(self, role: Viewer, id_: str) -> dict[str, Any]:
        return {"name": self.signin.cookie, "value": self.signin.hand_out(role, id_), "url": self.address}


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Its address, on a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await serving


def site_of(office: Office, signin: SignIn) -> ASGIApp:
    return application(office.desk, signin, [Pages(office.desk, signin).router])


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


async def picture(page: Any, name: str) -> None:
    """Of what somebody sees first, for docs/pages."""
    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    await page.screenshot(path=path, scale="css")
    assert path.stat().st_size < PICTURE_BYTES_MAX, f"{path.name} is too large for a page of the docs"
