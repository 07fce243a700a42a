"""A process is well while it moves wherever there is something to read."""

from datetime import UTC, datetime, timedelta

from shared.health import STALLED_AFTER, Progress

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLACE = ("order.commands", 3)


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
