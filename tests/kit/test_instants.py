"""One spelling for one instant, whichever way it came."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.instants import Instant, rfc3339

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
INSTANT = TypeAdapter(Instant)


@pytest.mark.parametrize(
    "instant",
    [
        NOON,
        NOON + timedelta(microseconds=999),
        NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
        NOON.replace(tzinfo=timezone(timedelta(0), "GMT")),
    ],
)
def test_it_is_in_utc_and_of_whole_milliseconds(instant: datetime) -> None:
    read = INSTANT.validate_python(instant)
    assert (read, read.tzinfo) == (NOON, UTC)
    assert (
        INSTANT.dump_json(read)
        == b'"2026-03-02T12:00:00.000Z"'
        == INSTANT.dump_json(INSTANT.validate_json(b'"2026-03-02T12:00:00Z"'))
    )


@pytest.mark.parametrize(
    "instant",
    [NOON.replace(tzinfo=None), NOON.replace(year=1969), NOON.replace(year=9999), datetime.max.replace(tzinfo=UTC)],
)
def test_what_cannot_be_read_everywhere_is_refused(instant: datetime) -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python(instant)


def test_two_instants_are_never_one() -> None:
    number = 3_000  # more than are remembered
    written = [rfc3339(NOON + timedelta(milliseconds=one)) for one in [*range(number), *range(number)]]
    assert written[:number] == written[number:]
    assert len(set(written)) == number
