"""Would it be seen if somebody were judged by how long he had to wait?"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.instants import to_ms
from shared.kernel.ports import Record
from shared.runtime.memory import START
from tests.overload import again, mix

WINDOW = timedelta(seconds=7)
END = START + timedelta(minutes=5)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """What people said, with its append times."""
    monkeypatch.setattr(mix, "PREPARED", 2)
    to_orders, to_disputes = mix.preparation("a")
    due = [(0.0, one) for one in to_orders] + [(1.0, one) for one in to_disputes]
    due += [(3.0 + at, one) for at, one in mix.schedule("a", 80, 1.0)]
    began = to_ms(START)
    records = [
        Record(one.topic, 0, number, began + int(at * 1_000), one.key, one.value, one.headers)
        for number, (at, one) in enumerate(due)
    ]
    return [record for record in records if mix.WAYS[mix.way_of((record.key or b"").decode())].one_inbox]


async def heard(given: Sequence[Record], later: int = 1) -> again.Heard:
    """What services say who take what was said for so many times later than it was."""
    began = given[0].timestamp
    taken = [replace(record, timestamp=began + (record.timestamp - began) * later) for record in given]
    said = await again.played(taken, END)
    for record in given:
        said.take(record)
    return said


async def test_all_is_equal_where_all_is_judged_by_its_time(given: list[Record]) -> None:
    found = again.compared(await heard(given), await heard(given), given)
    assert (found.problems, sum(found.left_out.values())) == ([], 0)
    assert set(found.equal) == {name for name, way in mix.WAYS.items() if way.one_inbox}


async def test_who_was_in_time_and_refused_is_found(given: list[Record]) -> None:
    late = await heard(given, later=30)
    found = again.compared(late, await heard(given), given)
    ways = {mix.way_of(problem) for problem in found.problems}
    assert {"prompt", "answered"} <= ways, "by the deadline to ship, and by the one to answer"
    assert again.judged(late, WINDOW).problems


async def test_a_command_between_the_instant_here_and_there_is_left_out(given: list[Record]) -> None:
    there = await heard(given)
    answers = [
        record for record in given if record.topic == "dispute.commands" and b"a-unanswered-" in (record.key or b"")
    ]
    # Here the dispute was opened so late that the seller's answer still came in time.
    opening = {record.offset for record in answers if record.timestamp <= given[0].timestamp + 1_000}
    slow = [
        replace(record, timestamp=record.timestamp + 6_000) if record.offset in opening else record for record in given
    ]
    here = await again.played(slow, END)
    found = again.compared(here, there, given)
    assert (found.problems, found.left_out["unanswered"]) == ([], 2)


async def test_the_time_to_ship_is_judged_from_the_records_alone(given: list[Record]) -> None:
    said = await heard(given)
    found = again.judged(said, WINDOW)
    assert (found.problems, found.obeyed_late) == ([], 0)
    assert found.obeyed
    assert found.refused
