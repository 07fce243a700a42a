"""Instants: milliseconds since 1970 in logs and tables, RFC 3339 on the wire, `datetime` in UTC where rules count."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
YEARS = range(EPOCH.year, 9999)
"""Of an instant in UTC: so it has a name of four digits in every time zone."""


def to_ms(instant: datetime) -> int:
    """As a broker stamps its records."""
    return (instant - EPOCH) // MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    return EPOCH + milliseconds * MILLISECOND


def _utc_milliseconds(instant: datetime) -> datetime:
    if instant.tzinfo is UTC and not instant.microsecond % 1000 and instant.year in YEARS:
        return instant  # as all are that we make ourselves, some two hundred in the life of a dispute
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    with suppress(OverflowError):  # beyond the calendar, and so beyond the years
        instant = instant.astimezone(UTC)
    if instant.year not in YEARS:  # asked in UTC: what is written must be readable
        raise ValueError(f"an instant lies in the years {YEARS[0]} to {YEARS[-1]}")
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@lru_cache(maxsize=1_024)
def rfc3339(instant: datetime) -> str:
    """`2026-01-31T12:00:00.000Z`: UTC, milliseconds, always the same width. Remembered, for the messages of one moment
    name few instants, each of them often."""
    return instant.isoformat(timespec="milliseconds")[:23] + "Z"


Instant = Annotated[
    datetime,
    AfterValidator(_utc_milliseconds),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    Field(description="RFC 3339, UTC, milliseconds"),
]
