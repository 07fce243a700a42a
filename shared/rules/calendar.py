"""When a span of time ends: days of 24 hours, and working days by a country's calendar (R0, R78); how short and how
long so many of these can be; and which years a calendar knows nothing of."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from holidays import HolidayBase, country_holidays

from schemas.policy import Duration, Policy

SEEN_FROM, SEEN_TO = date(2015, 1, 1), date(2025, 1, 1)
"""The years a span is judged by: those of the past, which a newer calendar does not change."""
YEAR = 250
"""Working days about as many as a year has: longer spans are put together from such ones."""
RENEWED_FOR = 5
"""Years in a row of which a calendar has data of their own: then the next year will have some, too."""


def after(start: datetime, duration: Duration, policy: Policy, times: int = 1) -> datetime:
    """The UTC instant at which `times` durations that began at `start` end (R0).

    A day is 24 hours; n business days end at the same local time on the n-th working day after, or, if the policy says
    so, at the end of that day where they began on a free one (R78).
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
            if policy.free_day_counts_from == "its_end":
                return after_whole_days(start, n, policy.country, policy.time_zone)
            return after_business_days(start, n, policy.country, policy.time_zone)


def before(end: datetime, duration: Duration, policy: Policy) -> datetime:
    """The instant a duration before `end`; for reminders, so business days are counted as plain days."""
    unit = "days" if duration.unit == "business_days" else duration.unit
    return end - timedelta(**{unit: duration.n})


def after_business_days(start: datetime, n: int, country: str, time_zone: str) -> datetime:
    """The same local time on the n-th working day after, in UTC (R0)."""
    local = start.astimezone(ZoneInfo(time_zone))
    return datetime.combine(_working_day(local.date(), n, country), local.timetz()).astimezone(UTC)


def after_whole_days(start: datetime, n: int, country: str, time_zone: str) -> datetime:
    """The same, but what begins later never ends earlier: a free day counts from its end, so the n-th working day after
    it is over at midnight; and so does an hour that the clocks show twice, or skip (R78)."""
    zone = ZoneInfo(time_zone)
    local = start.astimezone(zone)
    if not n:
        return start
    day = _working_day(local.date(), n, country)
    if not calendar(country).is_working_day(local.date()):
        return _instant(datetime.combine(day + timedelta(days=1), time()), zone)
    since_midnight = local.replace(tzinfo=None) - datetime.combine(local.date(), time())
    if local.fold:  # the second time that the clocks show it: as if it were when they go on
        shown_first = local.replace(fold=0).astimezone(UTC)
        since_midnight += _change(shown_first, start, zone) - shown_first
    return _instant(datetime.combine(day, time()) + since_midnight, zone)


@lru_cache(maxsize=1_024)
def _working_day(day: date, n: int, country: str) -> date:
    """The n-th after this one. Remembered: all that begins on one day ends on the same few days."""
    holidays = calendar(country)
    while n > 0:
        day += timedelta(days=1)
        n -= holidays.is_working_day(day)
    return day


def _instant(shown: datetime, zone: ZoneInfo) -> datetime:
    """When the clocks show this for the first time; where they skip it, when they do."""
    first, second = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first <= second else _change(second, first, zone)


def _change(earlier: datetime, later: datetime, zone: ZoneInfo) -> datetime:
    """When the clocks were changed, between these two instants."""
    since = later.astimezone(zone).utcoffset()
    early, late = int(earlier.timestamp()), int(later.timestamp())
    while late - early > 1:
        middle = (early + late) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == since:
            late = middle
        else:
            early = middle
    return datetime.fromtimestamp(late, UTC)


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


def unknown_years(policy: Policy, today: date) -> list[int]:
    """Those that its business days come to, begun today, and of which its country's calendar has no data (R78). Where
    working days are set anew every year, what is not set yet is taken for a year without exceptions."""
    windows = [getattr(policy, key) for key in Policy.model_fields]
    n = max((one.n for one in windows if isinstance(one, Duration) and one.unit == "business_days"), default=0)
    if not n:
        return []
    last = (today + longest(n, policy.country)).year
    return [year for year in range(today.year, last + 1) if not _has_year(policy.country, year)]


def _has_year(country: str, year: int) -> bool:
    holidays = calendar(country)
    own = {key for key in getattr(holidays, "special_public_holidays", {}) if isinstance(key, int) and key <= year}
    renewed = bool(own) and own.issuperset(range(max(own) - RENEWED_FOR + 1, max(own) + 1))
    return holidays.start_year <= year <= (max(own) if renewed else holidays.end_year)
