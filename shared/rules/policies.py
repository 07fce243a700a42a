"""Policies from their files, and what their durations mean on a calendar."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import ValidationError

from schemas.common import PolicyRef
from schemas.policy import Duration, Policy
from shared.rules.calendar import after_business_days, calendar
from shared.rules.policy_lint import lint

PUBLISHED = Path(__file__).parents[2] / "schemas" / "policies"


class PolicyMissing(Exception):
    """An order lives under a policy whose file is not here: wait for it, as for a database (§9)."""


class BrokenPolicy(Exception):
    """A policy file that means nothing or contradicts itself: no service starts with it, none that runs takes it up."""


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


NONE = Policies({})


def load(folder: Path = PUBLISHED, known: Policies = NONE) -> Policies:
    """What is known already, and the folder's other files; raises BrokenPolicy. A published file never changes, so
    none is read twice."""
    files = {f"{ref.name}.{ref.version}.yaml" for ref in known.by_ref}
    new = [read(path.name, path.read_bytes()) for path in sorted(folder.glob("*.yaml")) if path.name not in files]
    if not (files or new):
        raise BrokenPolicy(f"{folder}: there is no policy")
    return Policies({**known.by_ref, **dict(new)})


def read(file: str, content: bytes) -> tuple[PolicyRef, Policy]:
    """One policy; raises BrokenPolicy naming the file and, where there is one, the line."""
    lines: dict[str, int] = {}

    def broken(reason: str, *where: object) -> BrokenPolicy:
        line = f", line {lines[str(where[0])]}" if where and str(where[0]) in lines else ""
        return BrokenPolicy(": ".join([file + line, *filter(None, [".".join(map(str, where))]), reason]))

    try:
        for key in _keys(content):
            if key.value in lines:  # YAML itself would let the last one win, unnoticed
                raise broken(f"said again in line {key.start_mark.line + 1}", key.value)
            lines[key.value] = key.start_mark.line + 1
        policy = Policy.model_validate(yaml.safe_load(content))
    except yaml.YAMLError as error:
        raise broken(" ".join(str(error).split())) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise broken(first["msg"], *first["loc"]) from error
    if not _has_zone(policy.time_zone):
        raise broken(f"there is no zone {policy.time_zone}", "time_zone")
    if not _has_calendar(policy.country):
        raise broken(f"there is no calendar of {policy.country}", "country")
    if findings := lint(policy):
        raise BrokenPolicy("; ".join(str(broken(finding.reason, finding.key)) for finding in findings))
    if file != f"{policy.name}.{policy.version}.yaml":
        raise broken(f"it holds {policy.name} version {policy.version}")
    return PolicyRef(name=policy.name, version=policy.version, hash=hashlib.sha256(content).hexdigest()), policy


def _keys(content: bytes) -> Iterator[yaml.ScalarNode]:
    root = yaml.compose(content, yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        yield from (key for key, _ in root.value if isinstance(key, yaml.ScalarNode))


def _has_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown, no name at all, a folder of zones
        return False
    return True


def _has_calendar(country: str) -> bool:
    try:
        calendar(country)
    except NotImplementedError:
        return False
    return True


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
