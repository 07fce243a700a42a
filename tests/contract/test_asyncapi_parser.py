"""AsyncAPI's own parser accepts schemas/asyncapi.json: `make test-asyncapi`, for it runs on Node."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.asyncapi import DOCUMENT
from tests.contract.asyncapi.mistakes import MISTAKES, Mistake, made
from tests.contract.asyncapi.parser import LOCK, fetched, parsed

DOC: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))


def test_the_parser_is_pinned_by_hash_and_no_registry_is_named() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    loose = [name for name, package in packages.items() if name and not package["integrity"].startswith("sha512-")]
    assert not loose
    assert not [name for name, package in packages.items() if "resolved" in package], (
        "where packages come from is each machine's own business; write the file beside its .npmrc"
    )


@pytest.fixture(scope="session")
def modules() -> Path:
    """Of the official parser."""
    return fetched()


@pytest.mark.timeout(600)
def test_the_official_parser_accepts_the_document_and_its_examples(modules: Path) -> None:
    found = parsed(DOC, modules)
    assert not found, "\n".join(found)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.complaint)
def test_the_official_parser_refuses_a_document_that_is_wrong(modules: Path, mistake: Mistake) -> None:
    found = parsed(made(mistake, DOC), modules)
    assert any(line.startswith("error") and mistake.complaint in line for line in found), found
