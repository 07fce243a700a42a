"""Ten times what the machine can take, for a moment: nothing is lost, and nobody is judged by how long he had to wait.

A minute of it, and how much memory it takes, is `make overload`.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from tests.overload.report import lines, problems
from tests.overload.run import Overload

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
]

SECONDS = 1.5


@pytest_asyncio.fixture(loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with Stack(own_servers=True) as stack:
        yield stack


@pytest.mark.timeout(900)
async def test_an_overload_delays_everything_and_changes_nothing(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = await Overload(stack, lambda line: None).run(SECONDS, third=False)
    with capsys.disabled():
        print("\n" + "\n".join(lines(outcome)))
    assert problems(outcome) == []
