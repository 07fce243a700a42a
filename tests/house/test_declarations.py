"""One declaration a message: its class says what it is, what each field means, and gives an example."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deploy.publish import models
from schemas.common import Evidence
from schemas.example import PHOTO, example, fields
from schemas.instants import Instant
from schemas.publish import as_text, is_public, json_schema, publish
from schemas.wire import AnyMessage, Event, Id, PrivateEvent, Shape

MODELS = models()


def undocumented(models: Iterable[AnyMessage]) -> Iterator[str]:
    """What an outsider reads of the public ones and cannot understand, a sentence each."""
    for model in models:
        if not is_public(model):
            continue
        schema = json_schema(model)
        parts: Mapping[str, Any] = schema.get("$defs", {})
        if "description" not in schema:
            yield f"{model.__name__} has no docstring of its own: when is it said, and what follows?"
        yield from (f"{part} has no docstring: what is it?" for part in parts if "description" not in parts[part])
        for owner, shape in {model.__name__: schema, **parts}.items():
            for name, field in shape.get("properties", {}).items():
                if not _is_described(field, parts):
                    yield f"{owner}.{name} has no description: say in `Field(description=…)` what its name does not say"


def without_example(models: Iterable[AnyMessage]) -> Iterator[str]:
    """What is stored and has no example, or one that is none, a sentence each."""
    for model in models:
        given = example(model)
        names = {field.alias or name for name, field in model.model_fields.items()}
        if missing := sorted(names - given.keys()):
            yield f"the example of {model.__name__} lacks {', '.join(missing)}: add `example = fields(…)` to the class"
            continue
        try:
            model.model_validate_json(json.dumps(given))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            yield f"the example of {model.__name__} is no {model.type}: {where}: {first['msg']}"


def _is_described(field: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
    """By itself, or by what it, each of its items, or one of its alternatives is."""
    if "description" in field:
        return True
    if "$ref" in field:
        return "description" in parts[field["$ref"].rpartition("/")[2]]
    inner = [*field.get("anyOf", ()), *([field["items"]] if "items" in field else [])]
    return any(_is_described(one, parts) for one in inner)


def test_a_public_message_says_when_it_is_said_and_what_its_fields_mean() -> None:
    silent = list(dict.fromkeys(undocumented(MODELS)))
    assert not silent, "\n".join(["the AsyncAPI document is all that outsiders read:", *silent])


def test_every_stored_message_has_an_example() -> None:
    wrong = list(without_example(MODELS))
    assert not wrong, "\n".join(
        ["make schemas writes the golden sample from it, which is never written again:", *wrong]
    )


class _Bare(Shape):
    sha256: Id


class _Hushed(Event):
    type = "house.hushed.v1"
    topic = "timer.events"
    example = fields(at="tomorrow", bare={"sha256": "a"}, evidence=[PHOTO])

    at: Instant
    name: Id
    bare: _Bare
    evidence: tuple[Evidence, ...]


class _Told(Event):
    """It is said whenever something is told; nothing follows."""

    type = "house.told.v1"
    topic = "timer.events"
    example = fields(at="2026-03-20T18:45:10.250Z", evidence=[PHOTO])

    at: Instant
    evidence: tuple[Evidence, ...]


class _OfNoKind(_Told):
    """Its example is none."""

    type = "house.of_no_kind.v1"
    example = fields(at="tomorrow")


class _Private(PrivateEvent):
    type = "house.private.v1"

    name: Id


def test_what_a_message_leaves_unsaid_is_found() -> None:
    found = list(undocumented([_Hushed]))
    assert found[0] == "_Hushed has no docstring of its own: when is it said, and what follows?"
    unsaid = [sentence.partition(" ")[0] for sentence in found[1:]]
    assert unsaid == ["_Bare", "_Hushed.name", "_Hushed.bare", "_Bare.sha256"]


def test_what_is_told_or_private_is_left_alone() -> None:
    assert not list(undocumented([_Told, _Private]))


def test_a_message_without_an_example_is_found() -> None:
    incomplete, private, wrong = without_example([_Hushed, _Private, _Told, _OfNoKind])
    assert incomplete == "the example of _Hushed lacks name: add `example = fields(…)` to the class"
    assert private.startswith("the example of _Private lacks name")
    assert wrong.startswith("the example of _OfNoKind is no house.of_no_kind.v1: at: Input should be a valid datetime")


def test_make_schemas_writes_the_golden_sample_of_a_new_message_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.publish.PUBLISHED", tmp_path / "published")
    monkeypatch.setattr("schemas.publish.GOLDEN", tmp_path / "golden")
    golden = tmp_path / "golden" / "house.told.v1.json"
    assert golden in publish([_Told])
    assert golden.read_text() == as_text(example(_Told))
    golden.write_text("what was said once")
    assert golden not in publish([_Told])
    with pytest.raises(ValidationError):
        publish([_OfNoKind])
    assert not (tmp_path / "golden" / "house.of_no_kind.v1.json").exists()
