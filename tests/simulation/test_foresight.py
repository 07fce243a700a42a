"""What the oracle foresees is what the services then say; until when it says that something may be done, it may."""

import os
from datetime import timedelta

import pytest

from tests.simulation import virtual_time
from tests.simulation.foresight import SLACK_MS, LastMomentStage, calm
from tests.simulation.showing import ShowingStage

HISTORIES = int(os.environ.get("RECOURSE_TEST_FORESIGHT", "15"))
AT_LAST = timedelta(0)
TOO_LATE = timedelta(milliseconds=SLACK_MS)
"""What counts from a bell that has not rung yet counts from a little later in life."""


@pytest.mark.timeout(60 + HISTORIES)
def test_what_is_foreseen_happens() -> None:
    """Of every word of random histories, and of what follows when nobody says any more: by the oracle, by the preview
    that its speaker is shown, and by what each is shown ahead; and the money lies where it was said to end."""
    differing, words = [], 0
    for seed in range(HISTORIES):
        stage = ShowingStage(calm(seed))
        virtual_time.run(stage.play())
        assert stage.world.findings == []
        words += len(stage.compared)
        differing += [(seed, one) for one in stage.compared if one.differs]
    assert differing == []
    assert words > 16 * HISTORIES


@pytest.mark.timeout(60 + HISTORIES)
@pytest.mark.parametrize(("after", "refused"), [(AT_LAST, False), (TOO_LATE, True)])
def test_what_may_be_done_until_an_instant_may_be_done_until_then(after: timedelta, refused: bool) -> None:
    wrong, came = [], 0
    for seed in range(HISTORIES):
        stage = LastMomentStage(calm(seed), after)
        virtual_time.run(stage.play())
        came += stage.came is not None
        if stage.came is not None and stage.refused != refused:
            wrong.append((seed, stage.came))
    assert wrong == []
    assert came > HISTORIES // 3
