"""The pages in a browser: one browser for all tests, and a site of each test's own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.casefile.front.http import application
from services.casefile.front.signin import sign_in
from services.casefile.pages.routes import Pages
from tests.pages.browser import Site, browser
from tests.support.asking import served
from tests.support.casefile import open_office
from tests.support.operating import operators_tables


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Any]:
    async with browser() as opened:
        yield opened


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Over the system in memory, where mediators are on duty and nothing was said yet."""
    office = await open_office()
    signin = sign_in("local", None, None, None, is_tls=False)
    pages = Pages(office.desk, signin, operators_tables(office))
    async with served(application(office.desk, signin, [pages.router])) as port:
        yield Site(office, signin, f"http://127.0.0.1:{port}")
    office.desk.workers.close()
