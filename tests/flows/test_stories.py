"""Every story of the rule book on the in-memory composition, in the marketplace's days and in the demo's seconds."""

import pytest

from deploy.memory import open_stage
from deploy.stories.book import STORIES
from deploy.stories.dialogue import Scene


@pytest.mark.parametrize("policy", ["aliexpress", "demo"])
@pytest.mark.parametrize("number", STORIES, ids=lambda number: f"story-{number}")
async def test_story(number: int, policy: str) -> None:
    stage, _ = await open_stage(policy)
    scene = Scene(stage, f"story-{number}")

    await STORIES[number].play(scene)

    for case in scene.cases:
        assert case.split() == case.expected
