"""Whoever sends old records again, after everything has ended, is told so and changes nothing: on the in-memory
composition."""

from datetime import timedelta

import pytest

from deploy.memory import open_stage
from deploy.stories.book import STORIES
from deploy.stories.dialogue import Scene
from schemas.timer.events import Elapsed
from schemas.topics import OUTSIDERS_WRITE
from shared.kernel.codec import header
from shared.kernel.ports import Record
from shared.runtime.memory import MemoryBus

LONG = timedelta(days=400)
EFFECTS_END = (".events", ".dead-letters", "payments.commands")


def effects(bus: MemoryBus) -> dict[tuple[str, int], int]:
    """How much has been said, and how often a bank was called; what came of a timer is its service's matter."""
    return {
        place: sum(not is_repeat(record) for record in log)
        for place, log in bus.logs.items()
        if place[0].endswith(EFFECTS_END) and place[0] not in OUTSIDERS_WRITE
    }


def is_repeat(record: Record) -> bool:
    return ".repeated." in (header(record.headers, "ce_type") or "")


@pytest.mark.rule("R81")
@pytest.mark.parametrize("number", STORIES, ids=lambda number: f"story-{number}")
async def test_a_whole_story_sent_again_says_nothing_new(number: int) -> None:
    stage, mails = await open_stage("aliexpress")
    scene = Scene(stage, f"story-{number}")
    await STORIES[number].play(scene)
    bus = stage.world.bus
    await stage.world.wait(LONG)
    before, letters = effects(bus), len(mails.taken)
    old = [record for (topic, _), log in bus.logs.items() if topic in OUTSIDERS_WRITE for record in log]

    for record in old:
        bus.append(record.topic, record.key, record.value, record.headers, record.partition)
    await stage.world.wait(LONG)

    assert len(old) > 5
    assert effects(bus) == before
    commands = [
        one for one in old if one.topic.endswith(".commands") and header(one.headers, "ce_type") != Elapsed.type
    ]
    assert sum(is_repeat(record) for log in bus.logs.values() for record in log) == len(commands)
    assert len(mails.taken) == letters
    assert [case.split() for case in scene.cases] == [case.expected for case in scene.cases]
