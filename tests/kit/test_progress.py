"""Which logs are not got on in, by what is committed, and how far behind we are."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from schemas.instants import EPOCH, to_ms
from shared.kernel.ports import Cursor, Place
from shared.runtime.progress import STALLED_AFTER, STARVED_AFTER, Progress, Reach, fresh

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLACE = ("order.commands", 3)
HOUR = 3_600


class Watch:
    def __init__(self) -> None:
        self.now = NOON
        self.progress = Progress(lambda: self.now)

    def look(self, offset: int, end: int, later: timedelta = STALLED_AFTER) -> list[Place]:
        """What is said to be stalled, some time after the last look, when so much is handled."""
        return self.see({PLACE: (offset, Reach(end, end, end, end))}, later)

    def see(self, logs: Mapping[Place, tuple[int, Reach]], later: timedelta = STALLED_AFTER) -> list[Place]:
        """Of each log how far it is handled, and how far it reaches."""
        self.now += later
        handled = {shard: {topic: Cursor(offset)} for (topic, shard), (offset, _) in logs.items()}
        self.progress.look({place: reach for place, (_, reach) in logs.items()}, handled)
        return list(self.progress.stalled())


def read_to(offset: int, end: int) -> tuple[int, Reach]:
    return offset, Reach(end, end, end, end)


def test_records_that_nobody_comes_to_are_named() -> None:
    watch = Watch()
    assert watch.look(offset=5, end=7) == []
    assert watch.look(offset=5, end=9, later=STALLED_AFTER + timedelta(seconds=1)) == [PLACE]


def test_while_there_is_more_than_we_can_do_nobody_is_stalled_who_waits_for_his_turn() -> None:
    watch = Watch()
    busy, turn = ("order.commands", 4), timedelta(seconds=10)
    for number in range(9):
        assert watch.see({PLACE: read_to(5, 7), busy: read_to(number * 100, 90_000)}, turn) == []
    watch.see({PLACE: read_to(5, 7), busy: read_to(90_000, 90_000)}, turn)
    found = watch.see({PLACE: read_to(5, 7), busy: read_to(90_000, 90_000)}, turn)
    assert found == [PLACE], "now nothing else is to do"


def test_a_turn_does_not_take_for_ever() -> None:
    watch = Watch()
    busy, turn = ("order.commands", 4), timedelta(seconds=10)
    turns = STARVED_AFTER // turn
    looks = [watch.see({PLACE: read_to(5, 7), busy: read_to(n * 100, 90_000)}, turn) for n in range(turns + 2)]
    assert looks == [*[[]] * (turns + 1), [PLACE]]


def test_nobody_is_excused_by_others_that_keep_up() -> None:
    watch = Watch()
    others = [{("order.commands", 4): read_to(number * 100, number * 100 + 50)} for number in range(3)]
    found = [watch.see({PLACE: read_to(5, 7)} | other, timedelta(seconds=10)) for other in others]
    assert found == [[], [], [PLACE]]


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


def test_what_is_fetched_and_not_handled_is_not_done() -> None:
    """A commit that fails again and again: each time all that there is has been fetched."""
    watch = Watch()
    assert watch.see({PLACE: (5, Reach(fetched=9, received=9, stable=9, end=9))}) == []
    assert watch.see({PLACE: (5, Reach(9, 9, 9, 9))}, timedelta(seconds=16)) == [PLACE]


def test_the_mark_at_the_end_of_a_transaction_is_nothing_to_wait_for() -> None:
    watch = Watch()
    for _ in range(3):
        assert watch.see({PLACE: (5, Reach(fetched=6, received=5, stable=6, end=6))}) == []
    assert watch.progress.seconds_behind({3: {}}) == 0


def test_a_shard_that_was_lost_meanwhile_is_somebody_else_s() -> None:
    watch = Watch()
    for _ in range(3):
        watch.now += STALLED_AFTER
        watch.progress.look({PLACE: Reach(9, 9, 9, 9)}, {4: {}})
    assert watch.progress.stalled() == {}


# -- open transactions -------------------------------------------------------------------------------------------------

OPEN = 5, Reach(fetched=5, received=5, stable=5, end=8)


def test_a_transaction_that_is_never_ended_is_named_and_not_we_who_cannot_read_on() -> None:
    watch = Watch()
    for seconds in (0, 10, 6):
        assert watch.see({PLACE: OPEN}, timedelta(seconds=seconds)) == []
    assert watch.progress.held_up() == {PLACE: 5}
    assert watch.progress.seconds_behind({3: {}}) == 16
    watch.see({PLACE: read_to(8, 8)}, timedelta(seconds=1))
    assert watch.progress.held_up() == {}


def test_one_transaction_after_the_other_holds_nobody_up() -> None:
    watch = Watch()
    for offset in range(5, 50, 5):
        watch.see({PLACE: (offset, Reach(offset, offset, offset, offset + 3))}, timedelta(seconds=10))
        assert watch.progress.held_up() == {}


# -- how far behind ----------------------------------------------------------------------------------------------------

Moment = tuple[int, int, int, int]
"""(second, end of the log, offset handled, append time of the last one handled in seconds)"""


@pytest.mark.parametrize(
    ("moments", "behind"),
    [
        pytest.param([(0, 5, 5, -HOUR)], 0, id="nothing waits"),
        pytest.param([(0, 5, 5, -HOUR), (1, 6, 5, -HOUR)], 0, id="the first record after an idle hour"),
        pytest.param([(0, 6, 5, -HOUR), (3, 6, 5, -HOUR)], 3, id="a record that nobody comes to"),
        pytest.param([(0, 900, 5, -HOUR), (3, 900, 60, -HOUR + 7)], HOUR - 4, id="a backlog, begun"),
        pytest.param([(0, 900, 5, -9), (4, 990, 60, 1), (9, 999, 70, 2)], 7, id="falling behind"),
        pytest.param([(0, 900, 5, -9), (4, 990, 60, 1), (9, 999, 980, 8)], 1, id="catching up"),
        pytest.param([(0, 900, 5, -9), (4, 900, 900, 1)], 0, id="all is handled"),
        pytest.param([(0, 9, 5, -9), (1, 9, 9, 0), (HOUR, 10, 9, 0)], 0, id="caught up, and an idle hour"),
        pytest.param([(0, 9, 4, -9), (4, 10, 9, 60)], 0, id="a broker whose clock is ahead of ours"),
    ],
)
def test_how_long_the_next_record_has_waited(moments: Sequence[Moment], behind: float) -> None:
    watch, said = Watch(), -1.0
    for second, end, handled, time in moments:
        watch.now = NOON
        watch.look(handled, end, later=timedelta(seconds=second))
        cursor = Cursor(handled, to_ms(NOON) + time * 1_000)
        said = watch.progress.seconds_behind({PLACE[1]: {PLACE[0]: cursor}})
    assert said == behind


def test_the_log_that_is_furthest_behind_counts_and_only_of_shards_we_own() -> None:
    watch = Watch()
    watch.look(offset=5, end=6)
    later = {PLACE: read_to(5, 6), ("order.commands", 4): read_to(0, 1), ("dispute.events", 4): read_to(0, 1)}
    watch.see(later, timedelta(seconds=4))
    watch.now += timedelta(seconds=2)
    assert watch.progress.seconds_behind({3: {}, 4: {}}) == 6
    assert watch.progress.seconds_behind({4: {}}) == 2
    assert watch.progress.seconds_behind({}) == 0


def test_up_to_when_all_is_handled_is_the_time_of_the_log_that_is_furthest_behind() -> None:
    earlier, later = NOON - timedelta(minutes=2), NOON - timedelta(minutes=1)
    handled = {
        1: {"order.events": Cursor(4, to_ms(earlier)), "refund.events": Cursor(9, to_ms(later))},
        2: {"order.events": Cursor(7, to_ms(earlier))},
        3: {},
    }
    reach = {
        **{("order.events", shard): Reach(7, 7, 7, 7) for shard in (1, 2)},
        ("refund.events", 1): Reach(10, 10, 10, 10),
        ("order.events", 3): Reach(0, 0, 0, 0),
        ("order.events", 4): Reach(5, 5, 5, 5),
    }
    assert fresh(reach, handled, NOON) == {1: earlier, 2: NOON, 3: NOON}, "of 4 somebody else knows"


def test_where_nothing_was_handled_yet_nothing_is_known_up_to_any_time() -> None:
    assert fresh({PLACE: Reach(1, 1, 1, 1)}, {PLACE[1]: {}}, NOON) == {PLACE[1]: EPOCH}
