"""A process is well while it moves wherever there is something to read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from schemas.instants import to_ms
from shared.kernel.ports import Cursor
from shared.runtime.health import STALLED_AFTER, Progress

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLACE = ("order.commands", 3)
HOUR = 3_600


class Watch:
    def __init__(self) -> None:
        self.now = NOON
        self.progress = Progress(lambda: self.now)

    def look(self, offset: int, end: int, later: timedelta = STALLED_AFTER) -> list[str]:
        """What is said to be stalled, some time after the last look."""
        self.now += later
        self.progress.look({PLACE: (offset, end)})
        return self.progress.stalled()


def test_records_that_nobody_comes_to_are_named() -> None:
    watch = Watch()
    assert watch.look(offset=5, end=7) == []
    assert watch.look(offset=5, end=9, later=STALLED_AFTER + timedelta(seconds=1)) == ["order.commands/3"]


def test_while_there_is_more_than_we_can_do_nobody_is_stalled_who_waits_for_his_turn() -> None:
    watch = Watch()
    busy, turn = ("order.commands", 4), timedelta(seconds=10)
    for number in range(9):
        watch.now += turn
        watch.progress.look({PLACE: (5, 7), busy: (number * 100, 90_000)})
        assert watch.progress.stalled() == []
    for _ in range(2):
        watch.now += turn
        watch.progress.look({PLACE: (5, 7), busy: (90_000, 90_000)})
    assert watch.progress.stalled() == ["order.commands/3"], "now nothing else is to do"


def test_nobody_is_excused_by_others_that_keep_up() -> None:
    watch = Watch()
    for number in range(3):
        watch.now += timedelta(seconds=10)
        watch.progress.look({PLACE: (5, 7), ("order.commands", 4): (number * 100, number * 100 + 50)})
    assert watch.progress.stalled() == ["order.commands/3"]


def test_nothing_to_read_is_no_stand_still() -> None:
    watch = Watch()
    watch.look(offset=5, end=5)
    assert watch.look(offset=5, end=5, later=timedelta(hours=1)) == []


def test_however_far_behind_who_moves_is_well() -> None:
    watch = Watch()
    watch.look(offset=5, end=90_000)
    watch.look(offset=6, end=90_000)
    assert watch.look(offset=7, end=90_000) == []


def test_a_record_that_comes_after_a_long_silence_is_not_late_at_once() -> None:
    watch = Watch()
    watch.look(offset=5, end=5)
    assert watch.look(offset=5, end=6, later=timedelta(hours=1)) == []


# -- how far behind ----------------------------------------------------------------------------------------------------

Moment = tuple[int, int, int, int, int]
"""(second, offset fetched, end of the log, offset handled, append time of the last one handled in seconds)"""


@pytest.mark.parametrize(
    ("moments", "behind"),
    [
        pytest.param([(0, 5, 5, 5, -HOUR)], 0, id="nothing waits"),
        pytest.param([(0, 5, 5, 5, -HOUR), (1, 5, 6, 5, -HOUR)], 0, id="the first record after an idle hour"),
        pytest.param([(0, 5, 6, 5, -HOUR), (3, 5, 6, 5, -HOUR)], 3, id="a record that nobody comes to"),
        pytest.param([(0, 5, 900, 5, -HOUR), (3, 70, 900, 60, -HOUR + 7)], HOUR - 4, id="a backlog, begun"),
        pytest.param([(0, 5, 900, 5, -HOUR), (3, 70, 900, 5, -HOUR)], 3, id="a backlog, fetched and not yet handled"),
        pytest.param([(0, 5, 900, 5, -9), (4, 70, 990, 60, 1), (9, 80, 999, 70, 2)], 7, id="falling behind"),
        pytest.param([(0, 5, 900, 5, -9), (4, 70, 990, 60, 1), (9, 990, 999, 980, 8)], 1, id="catching up"),
        pytest.param([(0, 5, 900, 5, -9), (4, 900, 900, 890, 1)], 0, id="all is fetched"),
        pytest.param([(0, 5, 9, 5, -9), (1, 9, 9, 9, 0), (HOUR, 9, 10, 9, 0)], 0, id="caught up, and an idle hour"),
        pytest.param([(0, 5, 9, 4, -9), (4, 9, 10, 9, 60)], 0, id="a broker whose clock is ahead of ours"),
    ],
)
def test_how_long_the_next_record_has_waited(moments: Sequence[Moment], behind: float) -> None:
    watch, said = Watch(), -1.0
    for second, fetched, end, handled, time in moments:
        watch.now = NOON
        watch.look(fetched, end, later=timedelta(seconds=second))
        cursor = Cursor(handled, to_ms(NOON) + time * 1_000)
        said = watch.progress.seconds_behind({PLACE[1]: {PLACE[0]: cursor}})
    assert said == behind


def test_the_log_that_is_furthest_behind_counts_and_only_of_shards_we_own() -> None:
    watch = Watch()
    watch.look(offset=5, end=6)
    watch.now += timedelta(seconds=4)
    watch.progress.look({PLACE: (5, 6), ("order.commands", 4): (0, 1), ("dispute.events", 4): (0, 1)})
    watch.now += timedelta(seconds=2)
    assert watch.progress.seconds_behind({3: {}, 4: {}}) == 6
    assert watch.progress.seconds_behind({4: {}}) == 2
    assert watch.progress.seconds_behind({}) == 0
