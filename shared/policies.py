"""Policies from their files, and what their durations mean on a calendar."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import yaml
from pydantic import ValidationError

from schemas.common import PolicyRef
from schemas.policy import Duration, Policy

if TYPE_CHECKING:
    from holidays import HolidayBase

PUBLISHED = Path(__file__).parent.parent / "schemas" / "policies"


class PolicyMissing(Exception):
    """An order lives under a policy whose file is not here: wait for it, as for a database (§9)."""


class BrokenPolicy(Exception):
    """A policy file that cannot be read: nothing starts with it."""


@dataclass(frozen=True)
class Policies:
    """Every published policy, by its exact version and by name."""

    by_ref: dict[PolicyRef, Policy]

    def newest(self, name: str) -> tuple[PolicyRef, Policy] | None:
        """The version an order placed now will keep for life; None for a name nobody published."""
        return max(
            ((ref, policy) for ref, policy in self.by_ref.items() if ref.name == name),
            key=lambda pair: pair[0].version,
            default=None,
        )

    def of(self, ref: PolicyRef) -> Policy:
        """Raises PolicyMissing: an outage, not a bug."""
        try:
            return self.by_ref[ref]
        except KeyError:
            raise PolicyMissing(f"policy {ref.name} version {ref.version} ({ref.hash[:12]})") from None


def load(paths: Iterable[Path] | None = None) -> Policies:
    """Reads policy files; raises BrokenPolicy naming the file and, where there is one, the line."""
    by_ref: dict[PolicyRef, Policy] = {}
    for path in sorted(PUBLISHED.glob("*.yaml") if paths is None else paths):
        content = path.read_bytes()
        try:
            policy = Policy.model_validate(yaml.safe_load(content))
        except (yaml.YAMLError, ValidationError) as error:
            raise BrokenPolicy(f"{path.name}: {error}") from error
        if path.stem != f"{policy.name}.{policy.version}":
            raise BrokenPolicy(f"{path.name}: holds {policy.name} version {policy.version}")
        ref = PolicyRef(name=policy.name, version=policy.version, hash=hashlib.sha256(content).hexdigest())
        by_ref[ref] = policy
    return Policies(by_ref)


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
            return _after_business_days(start, n, policy)


def before(end: datetime, duration: Duration, policy: Policy) -> datetime:
    """The instant a duration before `end`; for reminders, so business days are counted as plain days."""
    unit = "days" if duration.unit == "business_days" else duration.unit
    return end - timedelta(**{unit: duration.n})


def _after_business_days(start: datetime, n: int, policy: Policy) -> datetime:
    local = start.astimezone(ZoneInfo(policy.time_zone))
    calendar = _calendar(policy.country)
    day = local.date()
    while n > 0:
        day += timedelta(days=1)
        n -= calendar.is_working_day(day)
    return datetime.combine(day, local.timetz()).astimezone(UTC)


@lru_cache
def _calendar(country: str) -> "HolidayBase":
    from holidays import country_holidays  # slow to import, and most policies never count a business day

    return country_holidays(country)
