"""One system in containers for all tests here; its logs where a test fails; at the end what was sent, and what lost."""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path

import pytest

from tests import required
from tests.e2e.containers import PARTS, Containers
from tests.e2e.trial import Trial
from tests.faults.market import Market

STORIES = Path(__file__).with_name("test_stories.py")
STACK = pytest.StashKey[Containers]()

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its clients report every attempt to connect at length


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is done to containers takes its time."""
    items.sort(key=_turn)
    for item in items:
        if item.path.is_relative_to(STORIES.parent):
            item.add_marker(pytest.mark.timeout(400))


def _turn(item: pytest.Item) -> int:
    """Those that share one system come last and together; first of them the stories, which keep time: nothing was done
    to it yet."""
    shares = isinstance(item, pytest.Function) and "trial" in item.fixturenames
    return shares + (shares and item.path != STORIES)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    required.container_engine("tests/e2e")


@pytest.fixture(scope="session")
async def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Containers]:
    """Six services and the stand-in payment service, ready."""
    async with Containers(tmp_path_factory.mktemp("e2e")) as stack:
        request.config.stash[STACK] = stack
        yield stack


@pytest.fixture(scope="session")
async def market(stack: Containers) -> AsyncIterator[Market]:
    """Open: somebody is there to judge."""
    async with Market(stack.bootstrap_servers) as market:
        await market.open()
        yield market


@pytest.fixture
async def trial(
    stack: Containers, market: Market, record_property: Callable[[str, object], None]
) -> AsyncIterator[Trial]:
    trial = Trial(stack, market)
    yield trial
    record_property(Trial.__name__, trial.account())
    for name in set(stack.services) - set(PARTS):
        await stack.dismiss(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    stack = item.config.stash.get(STACK, None)
    if report.failed and stack is not None:
        for name, part in stack.parts.items():
            report.sections.append((f"Log of {name}", part.quoted()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    told = [
        account
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, account in report.user_properties
        if name == Trial.__name__
    ]
    if told:
        faults = sum((Counter(account["faults"]) for account in told), Counter())
        each = ", ".join(f"{what} {times}" for what, times in faults.items()) or "none"
        commands, lost, doubled = (max(account[what] for account in told) for what in ("commands", "lost", "doubled"))
        counted = (
            f"{commands} commands sent, lost {lost}, doubled {doubled}" if commands else "nothing could be counted"
        )
        terminalreporter.write_line(f"tests/e2e: {counted}; faults: {faults.total()} ({each})")
