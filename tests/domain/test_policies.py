"""Policies: which version an order gets, what a file must be, and when a duration ends (R0, §9)."""

import asyncio
import hashlib
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.stories.scaled import published, scaled
from schemas.common import PolicyRef
from schemas.policy import Duration, Policy
from shared.kernel.policies import PolicyMissing
from shared.rules import calendar, policies
from shared.rules.policies import PUBLISHED, BrokenPolicy
from shared.runtime import application
from tests.support.waiting import until_true

FILE = "aliexpress.1.yaml"
CONTENT = (PUBLISHED / FILE).read_bytes()
NOON = datetime(2025, 1, 20, 12, tzinfo=UTC)
KNOWN = policies.load()


def newest(name: str = "aliexpress") -> tuple[PolicyRef, Policy]:
    found = KNOWN.newest(name)
    assert found is not None
    return found


def version(number: int) -> tuple[str, bytes]:
    """The same rules as the next version, in a file of their own."""
    return f"aliexpress.{number}.yaml", CONTENT.replace(b"version: 1", f"version: {number}".encode())


def folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for file, content in files.items():
        (path / file).write_bytes(content)
    return path


def differences(name: str) -> dict[str, object]:
    usual, other = newest()[1].model_dump(), newest(name)[1].model_dump()
    return {key: other[key] for key in usual if other[key] != usual[key] and key != "name"}


def days(n: int, unit: str = "days") -> dict[str, object]:
    return {"n": n, "unit": unit}


# -- which one -----------------------------------------------------------------------------------------------------------


def test_the_newest_version_is_the_highest_number_not_the_last_name(tmp_path: Path) -> None:
    known = policies.load(folder(tmp_path, dict(map(version, (2, 9, 10)))))

    found = known.newest("aliexpress")

    assert found is not None
    assert (found[0].version, found[1].version) == (10, 10)
    assert known.newest("nobody-published-this") is None


def test_an_older_version_stays_for_the_orders_that_live_under_it(tmp_path: Path) -> None:
    before = policies.load(folder(tmp_path, {FILE: CONTENT}))
    pinned = before.newest("aliexpress")
    assert pinned is not None

    after = policies.load(folder(tmp_path, dict([version(2)])), before)

    assert after.of(pinned[0]) is pinned[1]
    renewed = after.newest("aliexpress")
    assert renewed is not None
    assert renewed[0].version == 2
    assert before.newest("aliexpress") == pinned


def test_a_version_is_known_by_its_content_too() -> None:
    ref, _ = newest()

    content = (PUBLISHED / "aliexpress.2.yaml").read_bytes()
    assert ref == PolicyRef(name="aliexpress", version=2, hash=hashlib.sha256(content).hexdigest())
    with pytest.raises(PolicyMissing, match="aliexpress version 2"):
        KNOWN.of(ref.model_copy(update={"hash": "0" * 64}))
    with pytest.raises(PolicyMissing, match="aliexpress version 7"):
        KNOWN.of(ref.model_copy(update={"version": 7}))


def test_a_published_file_is_read_once(tmp_path: Path) -> None:
    known = policies.load(folder(tmp_path, {FILE: CONTENT}))

    again = policies.load(folder(tmp_path, {FILE: b"scribbled over"}), known)

    assert again == known


def test_presets_differ_from_the_marketplaces_own_rules_in_what_they_say() -> None:
    assert differences("aliexpress-2017") == {
        "seller_first_response": days(5),
        "manual_escalation": None,
        "auto_escalation": days(7),
        "open_from": days(10),
    }
    assert differences("alibaba-ta") == {
        "seller_first_response": days(5),
        "seller_silence": "escalate",
        "manual_escalation": days(3),
        "auto_escalation": days(7),
        "post_receipt_window": days(30),
        "buyer_silence": "cancelled",
    }


@pytest.mark.parametrize("name", sorted({ref.name for ref in KNOWN.by_ref}))
def test_the_second_version_of_each_preset_differs_from_the_first_in_these_keys(name: str) -> None:
    first, second = (
        next(policy.model_dump() for ref, policy in KNOWN.by_ref.items() if (ref.name, ref.version) == (name, version))
        for version in (1, 2)
    )

    assert {key: (first[key], second[key]) for key in second if second[key] != first[key]} == {
        "version": (1, 2),
        "capture": ("trusted", "confirmed"),
        "disputed_pieces": ("whole_line", "named"),
        "messages_per_day": (None, 100),
        "free_day_counts_from": ("its_instant", "its_end"),
        "reminders": (False, True),
    }
    assert (second["payment_window"], second["release_after_delivery"]) == (days(1), None)


def test_the_demo_is_the_marketplaces_own_rules_with_days_as_seconds() -> None:
    """But for the time to be paid in, which nobody waits for."""
    usual, demo = newest()[1], newest("demo")[1]

    assert scaled(usual).name == "aliexpress-2-scaled"
    assert scaled(usual).model_copy(update={"name": "demo"}) == demo
    assert scaled(demo).model_copy(update={"name": "demo"}) == demo
    assert scaled(usual).payment_window == Duration(n=1, unit="days")


@pytest.mark.parametrize(("hours", "seconds"), [(0, 0), (1, 1), (24, 1), (25, 2), (72, 3)])
def test_begun_days_of_hours_are_whole_seconds(hours: int, seconds: int) -> None:
    policy = newest()[1].model_copy(update={"answer": Duration(n=hours, unit="hours")})

    assert scaled(policy).answer == Duration(n=seconds, unit="seconds")


@pytest.mark.parametrize("name", sorted({ref.name for ref in KNOWN.by_ref}))
def test_every_preset_can_be_published_with_days_as_seconds(name: str) -> None:
    faster = scaled(newest(name)[1])

    assert policies.read(*published(faster))[1] == faster


# -- what a file must be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "becomes", "complaint"),
    [
        ("appeals: 1", "appeals: 2", "line 28: appeals: Input should be less than or equal to 1"),
        ("{n: 60, unit: days}", "{n: 60, unit: weeks}", "line 11: protection.unit: Input should be 'seconds'"),
        ("{n: 7, unit: days}", "{n: 7.5, unit: days}", "line 8: processing.n: Input should be a valid integer"),
        ("appeals: 1\n", "", ": appeals: Field required"),
        ("appeals: 1", "apeals: 1\nappeals: 1", "line 28: apeals: Extra inputs are not permitted"),
        ("appeals: 1", "appeals: 1\nappeals: 0", "line 28: appeals: said again in line 29"),
        ("appeals: 1", "appeals: [1", "line 29, column 14"),
        ("Asia/Shanghai", "Asia/Atlantis", "line 5: time_zone: there is no zone Asia/Atlantis"),
        ("Asia/Shanghai", "Asia", "line 5: time_zone: there is no zone Asia"),
        ("Asia/Shanghai", "../etc", "line 5: time_zone: there is no zone ../etc"),
        ("country: CN", "country: XX", "line 4: country: there is no calendar of XX"),
        (
            "appeal_window: {n: 7, unit: days}",
            "appeal_window: {n: 0, unit: days}",
            "line 29: appeal_window: 0 days: there",
        ),
        ("n: 7, unit: business", "n: 80, unit: business", "line 31: answer: not shorter than mediation_max"),
        ("version: 1", "version: 2", ": it holds aliexpress version 2"),
        ("name: aliexpress", "name: express", ": it holds express version 1"),
    ],
)
def test_a_broken_file_is_refused_with_its_name_and_what_to_mend(was: str, becomes: str, complaint: str) -> None:
    assert was.encode() in CONTENT

    with pytest.raises(BrokenPolicy) as refusal:
        policies.read(FILE, CONTENT.replace(was.encode(), becomes.encode(), 1))

    assert str(refusal.value).startswith(FILE)
    assert complaint in str(refusal.value)


@pytest.mark.parametrize("loader", dict.fromkeys((policies.LOADER, yaml.SafeLoader)), ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"- a list", b"one word", b"\xff\xfe\x00", b"? [a]\n: 1", b"a: &x [*x]"),
        *(
            b"a: " + b"[" * 4_000 + b"]" * 4_000,
            b"a: " + b"[" * 8_000,
            b"a: " + b"{a: " * 2_000,
            b"a: " + b"[" * 10**6,
        ),
    ],
    ids=lambda content: str(content[:16]),
)
def test_what_is_no_policy_at_all_is_refused_too(
    content: bytes, loader: type[yaml.SafeLoader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "LOADER", loader)
    with pytest.raises(BrokenPolicy, match=FILE):
        policies.read(FILE, content)


def test_one_broken_file_keeps_a_service_from_starting_and_so_does_none(tmp_path: Path) -> None:
    with pytest.raises(BrokenPolicy, match="there is no policy"):
        policies.load(tmp_path)
    with pytest.raises(BrokenPolicy, match="worse"):
        policies.load(folder(tmp_path, {FILE: CONTENT, "worse.1.yaml": b"name: worse"}))


async def test_a_running_service_takes_up_what_is_published_unless_it_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "HOUSEKEEPING_SECONDS", 0.01)
    loop: Any = SimpleNamespace(policies=policies.load(folder(tmp_path, {FILE: CONTENT})))
    file, content = version(2)
    keeping = asyncio.create_task(application._keep_policies(loop, tmp_path))

    folder(tmp_path, {file: content[:-30]})
    await until_true(lambda: file in caplog.text)
    assert loop.policies.newest("aliexpress")[0].version == 1

    folder(tmp_path, {file: content})
    await until_true(lambda: loop.policies.newest("aliexpress")[0].version == 2)
    keeping.cancel()


# -- when a duration ends --------------------------------------------------------------------------------------------------


def ends(start: datetime, n: int, unit: str, **changes: str) -> datetime:
    """Business days from a free day count from its instant, unless other rules are asked for."""
    rules = newest()[1].model_copy(update={"free_day_counts_from": "its_instant"} | changes)
    return calendar.after(start, Duration.model_validate(days(n, unit)), rules)


@pytest.mark.rule("R0")
@pytest.mark.parametrize(
    ("n", "unit", "later"),
    [
        (90, "seconds", timedelta(seconds=90)),
        (36, "hours", timedelta(hours=36)),
        (15, "days", timedelta(days=15)),
        (0, "days", timedelta(0)),
        (0, "business_days", timedelta(0)),
    ],
)
def test_a_duration_ends_so_much_later(n: int, unit: str, later: timedelta) -> None:
    assert ends(NOON, n, unit) == NOON + later


@pytest.mark.rule("R0")
def test_a_day_is_24_hours_also_when_the_clocks_are_changed() -> None:
    before = datetime(2026, 3, 28, 9, tzinfo=ZoneInfo("Europe/Berlin"))

    after = ends(before.astimezone(UTC), 1, "days", country="DE", time_zone="Europe/Berlin")

    assert after.astimezone(ZoneInfo("Europe/Berlin")).hour == 10


@pytest.mark.rule("R0")
@pytest.mark.parametrize(
    ("country", "time_zone", "start", "n", "end"),
    [
        # a plain week, and a weekend between
        ("CN", "Asia/Shanghai", "2025-03-03T12:00", 4, "2025-03-07T12:00"),
        ("CN", "Asia/Shanghai", "2025-03-03T12:00", 5, "2025-03-10T12:00"),
        # spring festival 2025: off from 28 January to 4 February, in return worked on Sunday 26 and Saturday 8
        ("CN", "Asia/Shanghai", "2025-01-24T12:00", 1, "2025-01-26T12:00"),
        ("CN", "Asia/Shanghai", "2025-01-24T12:00", 2, "2025-01-27T12:00"),
        ("CN", "Asia/Shanghai", "2025-01-24T12:00", 3, "2025-02-05T12:00"),
        ("CN", "Asia/Shanghai", "2025-02-07T12:00", 1, "2025-02-08T12:00"),
        ("CN", "Asia/Shanghai", "2025-02-07T12:00", 2, "2025-02-10T12:00"),
        # began on a day off: counted from the first working day after
        ("CN", "Asia/Shanghai", "2025-01-29T03:00", 1, "2025-02-05T03:00"),
        # the day is the one in the policy's zone: late on Friday in London is Saturday in Shanghai
        ("CN", "Asia/Shanghai", "2025-03-08T01:00", 1, "2025-03-10T01:00"),
        ("GB", "Europe/London", "2025-03-07T17:00", 1, "2025-03-10T17:00"),
        # the same local time, though the clocks went forward (30 March) or back (26 October) meanwhile
        ("DE", "Europe/Berlin", "2025-03-28T09:00", 1, "2025-03-31T09:00"),
        ("DE", "Europe/Berlin", "2025-10-24T09:00", 1, "2025-10-27T09:00"),
        # Good Friday and Easter Monday, and the same days where nobody keeps them
        ("DE", "Europe/Berlin", "2025-04-17T09:00", 1, "2025-04-22T09:00"),
        ("CN", "Asia/Shanghai", "2025-04-17T09:00", 1, "2025-04-18T09:00"),
        # a week of Sunday to Thursday
        ("IL", "Asia/Jerusalem", "2025-06-19T09:00", 1, "2025-06-22T09:00"),
        # across a year
        ("DE", "Europe/Berlin", "2025-12-31T09:00", 1, "2026-01-02T09:00"),
    ],
)
def test_business_days_end_at_the_same_local_time_on_a_working_day(
    country: str, time_zone: str, start: str, n: int, end: str
) -> None:
    zone = ZoneInfo(time_zone)
    began = datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC)

    ended = ends(began, n, "business_days", country=country, time_zone=time_zone)

    assert ended.tzinfo is UTC
    assert ended.astimezone(zone).replace(tzinfo=None) == datetime.fromisoformat(end)


def test_a_local_time_that_the_clocks_skip_is_no_obstacle() -> None:
    zone = ZoneInfo("Africa/Cairo")  # on Friday 25 April 2025 it went from 0:00 to 1:00; Friday is a day off there
    rules = {"country": "AE", "time_zone": "Africa/Cairo"}  # and here a working one
    began = datetime(2025, 4, 24, 0, 30, tzinfo=zone).astimezone(UTC)

    ended = ends(began, 1, "business_days", **rules)

    assert ended == datetime(2025, 4, 24, 22, 30, tzinfo=UTC)
    assert ended.astimezone(zone).isoformat() == "2025-04-25T01:30:00+03:00"


# -- business days from a free day (R78) ---------------------------------------------------------------------------------

COUNTRIES = sorted(holidays.list_supported_countries(include_aliases=False))
ZONES = sorted(zoneinfo.available_timezones())
INSTANTS = st.integers(0, 11 * 365 * 86_400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def whole(start: datetime, n: int, country: str, time_zone: str) -> datetime:
    changes: dict[str, Any] = {"free_day_counts_from": "its_end", "country": country, "time_zone": time_zone}
    return ends(start, n, "business_days", **changes)


@pytest.mark.rule("R78")
@pytest.mark.parametrize(
    ("country", "time_zone", "start", "n", "end"),
    [
        # a working day: as ever
        ("CN", "Asia/Shanghai", "2025-03-03T12:00", 5, "2025-03-10T12:00"),
        ("CN", "Asia/Shanghai", "2025-03-07T23:59", 1, "2025-03-10T23:59"),
        # Saturday, Sunday: the midnight after the next working day
        ("CN", "Asia/Shanghai", "2025-03-08T00:00", 1, "2025-03-11T00:00"),
        ("CN", "Asia/Shanghai", "2025-03-08T12:00", 1, "2025-03-11T00:00"),
        ("CN", "Asia/Shanghai", "2025-03-09T09:00", 1, "2025-03-11T00:00"),
        ("CN", "Asia/Shanghai", "2025-03-09T09:00", 5, "2025-03-15T00:00"),
        # nothing takes no time, on a free day as well
        ("CN", "Asia/Shanghai", "2025-03-09T09:00", 0, "2025-03-09T09:00"),
        # a holiday, and a Saturday that is worked on
        ("CN", "Asia/Shanghai", "2025-01-29T03:00", 1, "2025-02-06T00:00"),
        ("CN", "Asia/Shanghai", "2025-02-08T12:00", 1, "2025-02-10T12:00"),
        # the day is the one in the policy's zone
        ("GB", "Europe/London", "2025-03-08T00:30", 1, "2025-03-11T00:00"),
        # 1:30 is skipped on Sunday 30 March; 2:30 on 26 October comes twice; both are free, a month of data shows more
        ("IL", "Europe/London", "2025-03-27T01:30", 1, "2025-03-30T02:00"),
        ("IL", "Europe/Berlin", "2025-10-23T02:30", 1, "2025-10-26T02:30"),
    ],
)
def test_business_days_that_begin_on_a_free_day_count_from_its_end(
    country: str, time_zone: str, start: str, n: int, end: str
) -> None:
    zone = ZoneInfo(time_zone)
    ended = whole(datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC), n, country, time_zone)
    assert ended.astimezone(zone).replace(tzinfo=None) == datetime.fromisoformat(end)


@pytest.mark.rule("R78")
def test_an_hour_that_the_clocks_show_twice_counts_as_its_end_the_second_time() -> None:
    zone = ZoneInfo("Europe/Berlin")  # from 3:00 back to 2:00 on Sunday 26 October 2025, which Israel works on
    first, second = (datetime(2025, 10, 26, 2, 30, tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    assert [whole(start, 1, "IL", zone.key).astimezone(zone).isoformat() for start in (first, second)] == [
        "2025-10-27T02:30:00+01:00",
        "2025-10-27T03:00:00+01:00",
    ]


@pytest.mark.rule("R78")
@given(
    st.sampled_from(COUNTRIES),
    st.sampled_from(ZONES),
    INSTANTS,
    st.timedeltas(timedelta(0), timedelta(days=4)),
    st.integers(0, 12),
)
@settings(max_examples=150, deadline=None)
def test_what_begins_later_never_ends_earlier(
    country: str, time_zone: str, start: datetime, later: timedelta, n: int
) -> None:
    assert start <= whole(start, n, country, time_zone) <= whole(start + later, n, country, time_zone)


@pytest.mark.rule("R78")
@pytest.mark.parametrize(
    ("country", "time_zone"),
    [
        ("CN", "Asia/Shanghai"),
        ("IL", "Asia/Jerusalem"),
        ("AE", "Africa/Cairo"),
        ("US", "America/Havana"),
        ("AU", "Australia/Lord_Howe"),
        ("CL", "America/Santiago"),
    ],
)
def test_step_by_step_through_a_year_no_end_goes_back(country: str, time_zone: str) -> None:
    starts = [datetime(2024, 12, 30, tzinfo=UTC) + n * timedelta(minutes=37) for n in range(370 * 39)]
    found = [whole(start, 1, country, time_zone) for start in starts]
    assert found == sorted(found)


@pytest.mark.rule("R78")
def test_a_year_of_which_a_calendar_has_no_data_is_said() -> None:
    policy = newest()[1]
    assert calendar.unknown_years(policy, date(2025, 6, 1)) == []
    assert calendar.unknown_years(policy, date(2091, 6, 1)) == [2091], "China sets its working days year by year"
    assert calendar.unknown_years(policy, date(2091, 12, 1)) == [2091, 2092], "60 business days reach the next one"
    for country in ("DE", "US", "GB"):  # theirs follow from the date, one of them now and then from a jubilee
        assert calendar.unknown_years(policy.model_copy(update={"country": country}), date(2091, 12, 1)) == []
    assert calendar.unknown_years(newest("demo")[1], date(2091, 6, 1)) == [], "it counts none"


@pytest.mark.rule("R78")
def test_a_service_and_the_linter_say_a_sentence_a_country() -> None:
    [gap] = policies.gaps(KNOWN, date(2091, 12, 1))
    assert gap.startswith("The calendar of CN has no data of 2091, 2092 yet")
    assert policies.gaps(KNOWN, date(2025, 6, 1)) == []


def test_several_durations_are_one_after_the_other() -> None:
    rules = newest()[1]
    week = Duration(n=5, unit="business_days")

    assert calendar.after(NOON, week, rules, times=2) == calendar.after(calendar.after(NOON, week, rules), week, rules)


def test_every_published_policy_can_be_counted_with() -> None:
    for policy in KNOWN.by_ref.values():
        for key in Policy.model_fields:
            if isinstance(value := getattr(policy, key), Duration):
                assert calendar.after(NOON, value, policy) >= calendar.before(NOON, value, policy)
