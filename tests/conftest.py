"""What tests share: the real Kafka and PostgreSQL, started once per worker, when the first test asks for them."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from deploy.local.stack import Stack
from shared.runtime.kafka import internals

# How long an example takes says how busy the machine is.
settings.register_profile("recourse", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("recourse")

internals.install()  # tests read what services read, hostile bytes too


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Kafka with all topics, PostgreSQL and a mailbox; no service is running."""
    async with Stack() as opened:
        yield opened


@pytest.fixture
async def database_url(stack: Stack) -> AsyncIterator[str]:
    """A database of the test's own."""
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(stack.database_url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield urlsplit(stack.database_url)._replace(path=f"/{name}").geturl()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


LONGEST = [
    *("test_crashes", "test_hostile_input", "test_servers", "test_hostile_memory"),
    *("test_payments_live", "test_stories_live", "test_simulation", "test_bench"),
]
"""Modules that take half a minute and more. The stories keep time, so what takes all there is comes before them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module is one worker's (`--dist loadfile`), with a stack of its own. What takes long comes first, what needs no
    stack last: so all workers work to the end."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[int, bool]:
    name = item.path.stem
    return LONGEST.index(name) if name in LONGEST else len(LONGEST), not item.get_closest_marker("stack")
