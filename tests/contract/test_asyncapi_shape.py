"""schemas/asyncapi.json is a document of AsyncAPI 3.0.0: by AsyncAPI's own JSON Schema, with references that lead
somewhere, and examples that are as the schemas beside them say. Its own parser is asked in test_asyncapi_parser.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from schemas.asyncapi import DOCUMENT
from tests.contract.asyncapi.mistakes import MISTAKES, Mistake, made

Json = dict[str, Any]

SHAPE = Draft7Validator(json.loads((Path(__file__).parent / "asyncapi" / "asyncapi-3.0.0.json").read_text("utf-8")))
DOC: Json = json.loads(DOCUMENT.read_text("utf-8"))


def wrong(document: Json) -> list[str]:
    """What is wrong with it, a line each."""
    misshapen = [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in SHAPE.iter_errors(document)]
    lost = [f"{reference} does not exist" for reference in references(document) if led_to(reference, document) is None]
    return misshapen + lost + ([] if lost else list(wrong_examples(document)))


def references(part: Any) -> Iterator[str]:
    match part:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for value in part.values():
                yield from references(value)
        case list():
            for value in part:
                yield from references(value)


def led_to(reference: str, document: Json) -> Any:
    """What it refers to, in the document itself; None if nothing is there."""
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return led_to(found["$ref"], document) if isinstance(found, dict) and "$ref" in found else found


def wrong_examples(document: Json) -> Iterator[str]:
    for name, message in document["components"]["messages"].items():
        described = [*(led_to(trait["$ref"], document) for trait in message.get("traits", ())), message]
        for example in message.get("examples", ()):
            for part, said in example.items():
                for schema in (one[part] for one in described if part in one):
                    # What a reference in the schema leads to stands beside it.
                    whole = Draft7Validator({**schema, "components": document["components"]})
                    yield from (f"example of {name}: {part}: {error.message}" for error in whole.iter_errors(said))


def test_the_document_is_as_asyncapi_says() -> None:
    assert wrong(DOC) == []


def test_every_public_message_has_an_example_that_was_looked_at() -> None:
    assert sum(bool(message.get("examples")) for message in DOC["components"]["messages"].values()) > 100


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.complaint)
def test_a_document_that_is_wrong_is_seen(mistake: Mistake) -> None:
    found = wrong(made(mistake, DOC))
    assert any(mistake.complaint in line for line in found), found
