"""docs/OPERATIONS.md says what is true: each of its recipes is run, and shows what the page shows."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest

from deploy.local.processes import free_port
from tests import required
from tests.docs.recipes import Recipe, read, shows
from tests.house.reading import ROOT

PAGE = ROOT / "docs" / "OPERATIONS.md"
PORTS = ("KAFKA_PORT", "POSTGRES_PORT", "MAILPIT_PORT", "CASEFILE_PORT")

pytestmark = pytest.mark.timeout(1_200)


@pytest.fixture(scope="module")
def environment() -> Iterator[Mapping[str, str]]:
    """In which the commands of the page find a whole system, new and of the test's own."""
    required.container_engine(f"the recipes of {PAGE.name}")
    environment = {
        **{name: value for name, value in os.environ.items() if "MAKE" not in name},  # make in make says where it is
        "COMPOSE_PROJECT_NAME": f"recourse-docs-{uuid4().hex[:8]}",
        "COMPOSE_PROFILES": "plain",
        **{port: str(free_port()) for port in PORTS},
    }
    try:
        subprocess.run(["make", "up"], cwd=ROOT, env=environment, check=True)
        yield environment
    finally:
        down = ["docker", "compose", "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "1"]
        subprocess.run(down, cwd=ROOT, env=environment, check=True)


def test_every_recipe_shows_what_the_page_shows(environment: Mapping[str, str]) -> None:
    recipes = read(PAGE.read_text("utf-8"))
    failures = [failure for recipe in recipes if (failure := recipe.fails(ROOT, environment))]
    assert not failures, "\n\n".join(["docs/OPERATIONS.md says otherwise:", *failures])


def test_every_block_of_the_page_is_run() -> None:
    page = PAGE.read_text("utf-8")
    assert len({recipe.line for recipe in read(page)}) == page.count("\n```console\n") > 0


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("", ""),
        ("one\ntwo", "one\ntwo"),
        ("o…e", "o, whatever, e"),
        ("one\n…\nfour", "one\ntwo\nthree\nfour"),
        ("…\none", "one"),
        ("a+b (1)", "a+b (1)"),
    ],
)
def test_what_varies_is_left_open(expected: str, printed: str) -> None:
    assert shows(expected.splitlines(), printed.splitlines())


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("", "anything"),
        ("one", ""),
        ("one", "one\ntwo"),
        ("one\ntwo", "one"),
        ("one\ntwo", "two\none"),
        ("o…e", "other"),
        ("one\n…\nfour", "one\ntwo"),
        ("a.b", "axb"),
    ],
)
def test_anything_else_is_a_difference(expected: str, printed: str) -> None:
    assert not shows(expected.splitlines(), printed.splitlines())


def test_a_failure_names_the_recipe_and_shows_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.docs.recipes.PATIENCE_SECONDS", 1)
    [recipe] = read("# Title\n\n## How it goes\n\n```console\n$ seq 3; echo $UID\n1\n2\n4\n…\n```\n")
    said = (recipe.fails(ROOT, os.environ) or "").splitlines()
    assert said[:2] == ["How it goes, line 5", "$ seq 3; echo $UID"]
    assert {"-4", "+3"} < set(said)
    assert not {"+1", "-1"} & set(said)


def test_a_command_that_fails_is_a_failure() -> None:
    assert Recipe("", 1, "exit 3", ()).fails(ROOT, os.environ) is not None


@pytest.mark.parametrize(
    "command", ["tr a \\\n    b <<'END'\naha\nEND", "echo 'a\nb' |\n    tail -n 1", "for b in b; do\n  echo $b\ndone"]
)
def test_a_command_goes_on_until_it_is_whole(command: str) -> None:
    first, second = read(f"```console\n$ {command}\nb…\n$ true\n```\n")
    assert (first.command, first.output) == (command, ("b…",))
    assert (second.command, second.output) == ("true", ())
    assert first.fails(ROOT, os.environ) is None


@pytest.mark.parametrize(
    "page",
    [
        "```sh\nrm -rf /\n```\n",
        "```console\nno command\n```\n",
        "```console\n```\n",
        "```console\n$ echo 'never closed\n```\n",
        "```console\n$ anything\n… …\n```\n",
    ],
)
def test_a_block_that_would_prove_nothing_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match=r"line \d"):
        read(page)
