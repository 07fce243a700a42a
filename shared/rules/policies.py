"""Policies from their files."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import ValidationError
from yaml.constructor import SafeConstructor

from schemas.common import PolicyRef
from schemas.policy import Policy
from shared.kernel.policies import Policies
from shared.rules.calendar import calendar, unknown_years
from shared.rules.policy_lint import lint

PUBLISHED = Path(__file__).parents[2] / "schemas" / "policies"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where it was built with libyaml: all files are read whenever a service starts."""
BYTES_MAX = 8 * 1024
"""Of a file; five times what the longest has. What is nested without an end would end the process in C."""


READ_MAX = 64
"""So many are not examined again: services that share a process read the same presets."""


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


@lru_cache(maxsize=READ_MAX)
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
    if len(content) > BYTES_MAX:
        return None, [Fault(f"longer than a policy can be ({BYTES_MAX} bytes)")]
    faults = []
    try:
        root = yaml.compose(content, LOADER)
        for key in _keys(root):
            if key.value in lines:  # YAML itself would let the last one win, unnoticed
                again = f"said again in line {key.start_mark.line + 1}"
                faults.append(Fault(again, key.value, lines[key.value]))
            lines.setdefault(key.value, key.start_mark.line + 1)
        policy = Policy.model_validate(_constructed(root))
    except ValidationError as error:
        for one in error.errors():
            where = [str(part) for part in one["loc"]]
            faults.append(Fault(one["msg"], ".".join(where), lines.get(where[0]) if where else None))
        return None, faults
    except RecursionError:
        return None, [Fault("nested too deeply")]
    except (yaml.YAMLError, ValueError) as error:  # a number or a date that is none, too
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


def _keys(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(root, yaml.MappingNode):
        yield from (key for key, _ in root.value if isinstance(key, yaml.ScalarNode))


def _constructed(root: yaml.Node | None) -> object:
    return None if root is None else SafeConstructor().construct_document(root)


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
