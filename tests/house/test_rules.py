"""A rule that is not a test is a wish: the rule book, its tests, the code and the policies speak of the same rules."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from deploy.stories.book import STORIES
from deploy.stories.scaled import KEPT
from schemas.common import Reason
from schemas.policy import Policy
from services.composition import DECIDERS
from shared.rules import policies
from tests.house.reading import ROOT, files, lines, relative
from tests.house.rules import BOOK, proofs, rules

ABOUT = ("name", "version")
NAMED = re.compile(r"\b(?:R\d{1,2}b?|C\d{1,2}|N7)\b")
CODE = ("schemas/", "shared/", "services/", "deploy/", "tests/")
PRESETS = sorted((ROOT / "schemas" / "policies").glob("*.yaml"))


def _table(head: str) -> list[list[str]]:
    """The cells of the book's table that begins so, its header first."""
    tables = [block.splitlines() for block in BOOK.read_text().split("\n\n") if block.startswith(head)]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for table in tables for line in table]
    return [row for row in rows if not set("".join(row)) <= set("-")]


def test_every_rule_has_one_place_in_the_book() -> None:
    numbers = Counter(number for number, _ in rules())
    assert numbers
    assert max(numbers.values()) == 1, [number for number, times in numbers.items() if times > 1]


def test_every_rule_is_proved_by_a_test() -> None:
    proved = proofs()
    wishes = [f"{number} {title}" for number, title in rules() if number not in proved]
    assert not wishes, "\n".join(["mark the test that proves it, or write it:", *wishes])


def test_no_test_names_a_rule_that_is_not_in_the_book() -> None:
    known = dict(rules())
    unknown = {rule: tests for rule, tests in proofs().items() if rule not in known}
    assert not unknown, f"{unknown}: docs/RULES.md has no such rule"


def test_code_and_pages_name_no_rule_that_is_not_in_the_book() -> None:
    known = dict(rules())
    named = [
        f"{relative(path)}:{number} {rule}"
        for path in files()
        if path.suffix == ".md" or (path.suffix in (".py", ".sql", ".yaml") and relative(path).startswith(CODE))
        for number, line in lines(path)
        for rule in NAMED.findall(line)
        if rule not in known
    ]
    assert not named, "\n".join(["docs/RULES.md has no such rule:", *named])


def test_the_book_lists_every_deadline_in_its_order() -> None:
    listed = [(service, name.strip("`")) for service, name, *_ in _table("| service |")[1:]]
    deciders = [decider for decider in DECIDERS.values() if decider.deadline_names]
    assert listed == [(decider.service, name) for decider in deciders for name in decider.deadline_names]


def test_the_book_lists_the_stories_by_their_names() -> None:
    listed = {int(number): name.strip("*") for number, name, *_ in _table("| | story |")[1:]}
    assert list(listed) == sorted(listed)
    assert listed == {number: story.title for number, story in STORIES.items()}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_the_book_says_what_the_policies_say(path: Path) -> None:
    """Every key of a policy, with its value; an empty cell is the value of `aliexpress`."""
    header, *rows = _table("| key |")
    name, policy = path.stem.partition(".")[0], _read(path)
    assert f"`{name}`" in BOOK.read_text(), f"docs/RULES.md does not tell of the policy {name}"
    told, keys = [row[0].strip("`") for row in rows], [key for key in Policy.model_fields if key not in ABOUT]
    assert told == keys, f"§9 of docs/RULES.md lists the keys in the order of Policy; differs: {set(told) ^ set(keys)}"
    if f"`{name}`" in header and path == _newest(name):
        column, base = header.index(f"`{name}`"), header.index("`aliexpress`")
        written = {row[0].strip("`"): row[column] or row[base] for row in rows}
        assert written == {key: _cell(policy[key]) for key in written}


def test_the_book_says_what_the_first_versions_said_otherwise() -> None:
    (_, *names), *rows = _table("| key, in version 1 |")
    told = {row[0].strip("`"): row[1] for row in rows}
    assert names == [", ".join(f"`{name}`" for name in ("aliexpress", "aliexpress-2017", "alibaba-ta", "demo"))]
    for first in (path for path in PRESETS if path.suffixes[0] == ".1"):
        was, now = _read(first), _read(_newest(first.stem.partition(".")[0]))
        assert told == {key: _cell(was[key]) for key in now if was[key] != now[key] and key not in ABOUT}, first.name


def test_demo_is_aliexpress_with_every_day_a_second_long() -> None:
    """As the book says; nobody waits to see the time that is there to be paid in."""
    aliexpress, demo = (_read(_newest(name)) for name in ("aliexpress", "demo"))
    assert {key: value for key, value in demo.items() if key not in ABOUT} == {
        key: value | {"unit": "seconds"} if isinstance(value, dict) and key != KEPT else value
        for key, value in aliexpress.items()
        if key not in ABOUT
    }


def test_the_book_names_every_reason() -> None:
    paragraph = BOOK.read_text().partition("**R11**")[2].partition("\n\n")[0]
    differs = set(re.findall(r"`(\w+)`", paragraph)) ^ set(get_args(Reason))
    assert not differs, f"R11 of docs/RULES.md names the reasons; differs: {differs}"


def _read(path: Path) -> Mapping[str, Any]:
    """As a service reads it: what was published before a key was there has its default."""
    return policies.read(path.name, path.read_bytes())[1].model_dump(mode="json")


def _newest(name: str) -> Path:
    return max(
        (path for path in PRESETS if path.stem.partition(".")[0] == name), key=lambda path: int(path.suffixes[0][1:])
    )


def _cell(value: object) -> str:
    match value:
        case {"n": n, "unit": str(unit)}:
            unit = unit.replace("_", " ")
            return f"{n} {unit.removesuffix('s') if n == 1 else unit}"
        case bool():
            return f"`{str(value).lower()}`"
        case int():
            return str(value)
        case None:
            return "`null`"
    return f"`{value}`"
