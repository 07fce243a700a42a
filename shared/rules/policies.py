"""Policies from their files."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import ValidationError

from schemas.common import PolicyRef
from schemas.policy import Policy
from shared.kernel.policies import Policies
from shared.rules.calendar import calendar, unknown_years
from shared.rules.policy_lint import lint

PUBLISHED = Path(__file__).parents[2] / "schemas" / "policies"


class BrokenPolicy(Exception):
    """A policy file that means nothing or contradicts itself: no service starts with it, none that runs takes it up."""


NONE = Policies({})


def load(folder: Path = PUBLISHED, known: Policies = NONE) -> Policies:
    """What is known already, and the folder's other files; raises BrokenPolicy. A published file never changes, so
    none is read twice."""
    files = {f"{ref.name}.{ref.version}.yaml" for ref in known.by_ref}
    new = [read(path.name, path.read_bytes()) for path in sorted(folder.glob("*.yaml")) if path.name not in files]
    if not (files or new):
        raise BrokenPolicy(f"{folder}: there is no policy")
    return Policies({**known.by_ref, **dict(new)})


@dataclass(frozen=True)
class Fault:
    """What is wrong with the text of a policy, and where."""

    reason: str
    key: str = ""
    """Such as `protection.unit`; empty: it is about no key, or about them all."""
    line: int | None = None

    def __str__(self) -> str:
        return ": ".join(filter(None, [f"line {self.line}" if self.line else "", self.key, self.reason]))


def read(file: str, content: bytes) -> tuple[PolicyRef, Policy]:
    """One published policy; raises BrokenPolicy naming the file and, where there is one, the line of each fault."""
    policy, faults = examined(content)
    if policy is not None and file != f"{policy.name}.{policy.version}.yaml":
        faults = [Fault(f"it holds {policy.name} version {policy.version}")]
    if policy is None or faults:
        raise BrokenPolicy("; ".join(file + (", " if fault.line else ": ") + str(fault) for fault in faults))
    return reference(policy, content), policy


def reference(policy: Policy, content: bytes) -> PolicyRef:
    return PolicyRef(name=policy.name, version=policy.version, hash=hashlib.sha256(content).hexdigest())


def examined(content: bytes) -> tuple[Policy | None, list[Fault]]:
    """The policy, or all that is wrong with it; first what keeps the rest from being looked at."""
    lines: dict[str, int] = {}
    faults = []
    try:
        for key in _keys(content):
            if key.value in lines:  # YAML itself would let the last one win, unnoticed
                again = f"said again in line {key.start_mark.line + 1}"
                faults.append(Fault(again, key.value, lines[key.value]))
            lines.setdefault(key.value, key.start_mark.line + 1)
        policy = Policy.model_validate(yaml.safe_load(content))
    except ValidationError as error:
        for one in error.errors():
            where = [str(part) for part in one["loc"]]
            faults.append(Fault(one["msg"], ".".join(where), lines.get(where[0]) if where else None))
        return None, faults
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a number or a date that is none; a nest too deep
        return None, [Fault(" ".join(str(error).split()))]
    if not _has_zone(policy.time_zone):
        faults.append(Fault(f"there is no zone {policy.time_zone}", "time_zone", lines.get("time_zone")))
    if not _has_calendar(policy.country):
        faults.append(Fault(f"there is no calendar of {policy.country}", "country", lines.get("country")))
    faults = faults or [Fault(finding.reason, finding.key, lines.get(finding.key)) for finding in lint(policy)]
    return (None if faults else policy), faults


def gaps(known: Policies, today: date) -> list[str]:
    """Of which years their calendars know nothing that business days come to, a sentence a country (R78)."""
    unknown: dict[str, set[int]] = {}
    for policy in known.by_ref.values():
        if years := unknown_years(policy, today):
            unknown.setdefault(policy.country, set()).update(years)
    return [
        f"The calendar of {country} has no data of {', '.join(map(str, sorted(years)))} yet: business days take every"
        " week of it for a usual one."
        for country, years in sorted(unknown.items())
    ]


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
