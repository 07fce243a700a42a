"""When a span of time ends: days of 24 hours, and working days by a country's calendar (R0); and how short and how long
so many of these can be."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from holidays import HolidayBase, country_holidays

from schemas.policy import Duration, Policy

SEEN_FROM, SEEN_TO = date(2015, 1, 1), date(2025, 1, 1)
"""The years a span is judged by: those of the past, which a newer calendar does not change."""
YEAR = 250
"""Working days about as many as a year has: longer spans are put together from such ones."""


def after(start: datetime, duration: Duration, policy: Policy, times: int = 1) -> datetime:
    """The UTC instant at which `times` durations that began at `start` end (R0).

    A day is 24 hours; n business days end at the same local time on the n-th working day after.
    """
    n = duration.n * times
    match duration.unit:
        case "seconds":
            return start + timedelta(seconds=n)
        case "hours":
            return start + timedelta(hours=n)
        case "days":
            return start + timedelta(days=n)
        case "business_days":
            return after_business_days(start, n, policy.country, policy.time_zone)


def before(end: datetime, duration: Duration, policy: Policy) -> datetime:
    """The instant a duration before `end`; for reminders, so business days are counted as plain days."""
    unit = "days" if duration.unit == "business_days" else duration.unit
    return end - timedelta(**{unit: duration.n})


def after_business_days(start: datetime, n: int, country: str, time_zone: str) -> datetime:
    """The same local time on the n-th working day after, in UTC (R0)."""
    local = start.astimezone(ZoneInfo(time_zone))
    holidays = calendar(country)
    day = local.date()
    while n > 0:
        day += timedelta(days=1)
        n -= holidays.is_working_day(day)
    return datetime.combine(day, local.timetz()).astimezone(UTC)


def shortest(n: int, country: str) -> timedelta:
    """No n business days pass sooner; the hours by which clocks are changed do not count."""
    days = _working_days(country)
    years, rest = divmod(n, YEAR)
    return timedelta(years * _least(days, YEAR) + _least(days, rest))


def longest(n: int, country: str) -> timedelta:
    """No n business days take longer; the hours by which clocks are changed do not count."""
    days = _working_days(country)
    years, rest = divmod(n, YEAR)
    return timedelta(years * _most(days, YEAR) + _most(days, rest))


def _least(days: tuple[date, ...], n: int) -> int:
    """They begin the day before the first of them."""
    return min((last - first).days + 1 for first, last in zip(days, days[n - 1 :], strict=False)) if n else 0


def _most(days: tuple[date, ...], n: int) -> int:
    """They begin on a working day."""
    return max((last - first).days for first, last in zip(days, days[n:], strict=False))


@lru_cache
def _working_days(country: str) -> tuple[date, ...]:
    holidays = calendar(country)
    all_days = (SEEN_FROM + timedelta(days=n) for n in range((SEEN_TO - SEEN_FROM).days))
    return tuple(day for day in all_days if holidays.is_working_day(day))


@lru_cache
def calendar(country: str) -> HolidayBase:
    """Raises NotImplementedError for a country without one."""
    return country_holidays(country)
