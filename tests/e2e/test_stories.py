"""The same stories in containers: what `make demo STACK=compose` plays, and `make demo` on processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rich.console import Console

from deploy.local import demo
from deploy.stories.book import STORIES
from tests.e2e.containers import Containers
from tests.e2e.trial import Trial


async def test_every_story_ends_as_told_in_containers(
    stack: Containers, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def containers(*_: object) -> AsyncIterator[demo.Venue]:
        yield demo.Venue(stack.system(grace_seconds=30), stack.policies, fresh=False, payments_follow_scripts=True)

    monkeypatch.setitem(demo.VENUES, "containers", containers)
    console = Console(record=True, width=200)

    good = await demo.play([STORIES[number] for number in sorted(STORIES)], console, stack="containers")

    assert good, console.export_text()
    await trial.assert_nothing_was_lost()
