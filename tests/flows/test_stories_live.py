"""The same stories on the real stack: six processes, Kafka, PostgreSQL and SMTP; `make demo` is this very thing."""

import pytest
from rich.console import Console

from deploy.local.demo import play
from deploy.stories.book import STORIES


@pytest.mark.stack
@pytest.mark.timeout(400)
async def test_every_story_ends_as_told_and_the_books_balance() -> None:
    console = Console(record=True, width=200)

    good = await play([STORIES[number] for number in sorted(STORIES)], console)

    assert good, console.export_text()
