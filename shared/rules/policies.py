"""Policies from their files."""

import hashlib
from collections.abc import Iterator
from datetime import date
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


def read(file: str, content: bytes) -> tuple[PolicyRef, Policy]:
    """One policy; raises BrokenPolicy naming the file and, where there is one, the line."""
    lines: dict[str, int] = {}

    def broken(reason: str, *where: object) -> BrokenPolicy:
        line = f", line {lines[str(where[0])]}" if where and str(where[0]) in lines else ""
        return BrokenPolicy(": ".join([file + line, *filter(None, [".".join(map(str, where))]), reason]))

    if len(content) > BYTES_MAX:
        raise broken(f"longer than a policy can be ({BYTES_MAX} bytes)")
    try:
        root = yaml.compose(content, LOADER)
        for key in _keys(root):
            if key.value in lines:  # YAML itself would let the last one win, unnoticed
                raise broken(f"said again in line {key.start_mark.line + 1}", key.value)
            lines[key.value] = key.start_mark.line + 1
        policy = Policy.model_validate(_constructed(root))
    except yaml.YAMLError as error:
        raise broken(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise broken("nested too deeply") from error
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
