"""The files around the code: pinned, the same on every machine, and explained."""

import re

import pytest
import yaml

from schemas.topics import PROCESSES
from tests.house.reading import ROOT, files, lines, relative

HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
PINNED = re.compile(r"[A-Za-z0-9._-]+==[^ ;]+( ; [^\\]+)?")
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|repo1?\.maven|maven\.(org|google)|docker\.io|ghcr\.io|quay\.io|npmjs|conda\.(io|org)"
)
MACHINE = re.compile(r"(?<![\w.}:/-])/(home|root|work|tmp|Users)/\w")
TARGET = re.compile(r"^([a-z][a-z0-9-]*):(?!=)(.*)$", re.MULTILINE)
MODULE = re.compile(r"(?:\bfrom|\bimport|-m) ((?:schemas|shared|services|deploy)(?:\.\w+)+)")
TEST = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")
"""A page's link to a file beside it."""
RECIPE = re.compile(r'"([a-z]+(?:-[a-z]+){2,})"')
"""An anchor, as problems name it."""
LOCKS = [relative(path) for path in files() if path.name == "requirements.lock"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_pinned_with_its_hashes(lock: str) -> None:
    requirements = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    assert requirements
    loose = [line[:60] for line in requirements if not (PINNED.match(line) and HASH.search(line))]
    assert not loose, f"{loose}: write the file with `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_index(lock: str) -> None:
    named = [line for _, line in lines(ROOT / lock) if "://" in line or "index" in line]
    assert not named, (
        f"{named}: where packages come from is each machine's own business; write the file with `make lock`"
    )


def test_who_develops_here_downloads_no_node() -> None:
    named = [line for _, line in lines(ROOT / "requirements.lock") if line.startswith("nodejs")]
    assert not named, (
        f"{named}: Node is larger than all the rest and asked by `make test-asyncapi` alone, which gets it"
    )


def test_no_registry_and_no_machine_is_named() -> None:
    named = [
        f"{relative(path)}:{number}"
        for path in files()
        if not relative(path).startswith("tests/")
        for number, line in lines(path)
        if REGISTRIES.search(line) or MACHINE.search(line)
    ]
    assert not named, f"{named}: a registry's host, or a path of one machine; other machines have others"


def test_every_make_target_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = dict(TARGET.findall(makefile))
    silent = [target for target, rest in targets.items() if not re.search(r"## \w", rest)]
    assert not silent, f"{silent}: add `## what it does` behind the target, `make help` shows it"
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert set(phony.split()) == set(targets), "every target is named in .PHONY, and nothing else"


def test_every_service_is_run_in_containers() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    lacking = [name for one in PROCESSES for name in (one, f"secure-{one}") if name not in compose]
    assert not lacking, f"{lacking}: docker-compose.yml runs every service, in both profiles"
    (secrets,) = re.findall(r"^services='(.*)'$", (ROOT / "deploy/secure/make-secrets").read_text(), re.MULTILINE)
    assert secrets.split() == list(PROCESSES), "deploy/secure/make-secrets: each service has a password of its own"


def test_what_is_guaranteed_names_tests_and_targets_that_are_there() -> None:
    page = (ROOT / "docs" / "GUARANTEES.md").read_text()
    named = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", page)
    gone = [
        f"{path}::{test}"
        for path, test in named
        if not (ROOT / path).exists() or (test and f"def {test}(" not in (ROOT / path).read_text())
    ]
    targets = {target for target, _ in TARGET.findall((ROOT / "Makefile").read_text())}
    gone += [f"make {target}" for target in re.findall(r"\bmake ([a-z][a-z-]+)", page) if target not in targets]
    assert named, "it names whoever tries to break a promise"
    assert not gone, f"{gone}: docs/GUARANTEES.md names what is not there"


def test_pages_lead_to_files_that_are_there() -> None:
    gone = [
        f"{relative(page)}:{number} leads to {target}"
        for page in files()
        if page.suffix == ".md"
        for number, line in lines(page)
        for target in LINK.findall(line)
        if not (page.parent / target).exists()
    ]
    assert not gone, "\n".join(gone)


def test_every_recipe_that_a_problem_names_is_on_its_page() -> None:
    named = {
        recipe
        for path in files()
        if path.suffix == ".py" and relative(path).startswith("shared/runtime/")
        for recipe in RECIPE.findall(path.read_text())
    }
    headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / "OPERATIONS.md").read_text(), re.MULTILINE)
    gone = named - {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert named
    assert not gone, f"{gone}: docs/OPERATIONS.md has no such heading"


def test_the_tests_that_ask_for_a_file_are_there() -> None:
    """Those that CONTRIBUTING.md names."""
    named = re.findall(r"`(test_\w+)`", (ROOT / "CONTRIBUTING.md").read_text())
    written = {name for path in files() if path.suffix == ".py" for name in TEST.findall(path.read_text())}
    gone = [name for name in named if name not in written]
    assert named
    assert not gone, f"{gone}: CONTRIBUTING.md names tests that are not there"


def test_pages_name_modules_that_are_there() -> None:
    """In commands, which a reader copies."""
    gone = [
        f"{relative(page)}:{number} {module}"
        for page in files()
        if page.suffix == ".md"
        for number, line in lines(page)
        for module in MODULE.findall(line)
        if not any((ROOT / module.replace(".", "/")).with_suffix(suffix).exists() for suffix in ("", ".py"))
    ]
    assert not gone, "\n".join(gone)


PINNABLE = re.compile(r"\$\{\w+_IMAGE(:-[\w./-]+:[\w.-]+)?\}")
"""A name of an image that a digest can take the place of; what it is by default has a tag."""


def test_every_image_of_others_can_be_pinned() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    run = {one["image"] for one in compose.values() if "image" in one and not one["image"].startswith("recourse")}
    arguments = {image for one in compose.values() if "build" in one for image in one["build"].get("args", {}).values()}
    made_of = {
        line.split()[1]
        for path in files()
        if path.name == "Dockerfile"
        for _, line in lines(path)
        if line.startswith("FROM ")
    }
    fixed = [image for image in run | arguments | made_of if not PINNABLE.fullmatch(image)]
    assert run
    assert arguments
    assert made_of
    assert not fixed, f"{fixed}: name it by a variable, so that .env can say which digest (docs/OPERATIONS.md)"
