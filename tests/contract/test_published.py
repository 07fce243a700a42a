"""What is published says what the models say, and what was ever written can still be read."""

import json
from typing import Any

import pytest

from deploy.publish import models
from schemas.example import example
from schemas.publish import GOLDEN, PUBLISHED, as_text, is_public, json_schema
from schemas.wire import Command, Event

MODELS = {model.type: model for model in models()}
PUBLIC = {type_: model for type_, model in MODELS.items() if is_public(model)}
STORED = {path.stem: path for path in sorted(GOLDEN.glob("*.json"))}


@pytest.mark.parametrize("type_", PUBLIC)
def test_a_published_schema_says_what_its_model_says(type_: str) -> None:
    path = PUBLISHED / f"{type_}.json"
    assert path.exists(), f"{type_} is not published: run `make schemas`"
    assert path.read_text("utf-8") == as_text(json_schema(PUBLIC[type_])), (
        f"{path.name} does not say what its model says: run `make schemas` if the change only adds optional fields, "
        "else give the message a new version"
    )


def test_nothing_is_published_that_has_no_model() -> None:
    orphans = {path.stem for path in PUBLISHED.iterdir()} - set(PUBLIC)
    assert not orphans, f"{sorted(orphans)}: readers still have these messages, so their models stay"


def test_every_message_ever_stored_has_a_golden_sample() -> None:
    assert not set(MODELS) - set(STORED), f"{sorted(set(MODELS) - set(STORED))}: run `make schemas`"
    assert not set(STORED) - set(MODELS), (
        f"{sorted(set(STORED) - set(MODELS))}: was stored once and must be readable for ever, so its model stays"
    )


@pytest.mark.parametrize("type_", STORED)
def test_a_golden_sample_can_be_read_and_keeps_all_it_says(type_: str) -> None:
    text = STORED[type_].read_text("utf-8")
    message = MODELS[type_].model_validate_json(text)
    again = message.model_dump_json()
    assert MODELS[type_].model_validate_json(again) == message
    assert _keeps(json.loads(again), json.loads(text)), (
        f"{type_} cannot say any more what it once said: undo the change or give the message a new version; "
        "a golden sample is never edited"
    )


@pytest.mark.parametrize("type_", STORED)
def test_an_example_goes_on_telling_what_its_golden_sample_tells(type_: str) -> None:
    """So that all of them tell one story, and what is added since has a place in it. Only an actor who may not do this
    any more is another one now."""
    model, then = MODELS[type_], json.loads(STORED[type_].read_text("utf-8"))
    if issubclass(model, Command) and then["actor"]["role"] not in model.by:
        del then["actor"]
    assert _keeps(example(model), then), (
        f"the example of {type_} only gains fields: what it said once is published as {STORED[type_].name}"
    )


@pytest.mark.parametrize("type_", PUBLIC)
def test_a_golden_sample_has_what_its_published_schema_requires(type_: str) -> None:
    said = json.loads(STORED[type_].read_text("utf-8"))
    assert set(said) >= set(json_schema(PUBLIC[type_])["required"])


@pytest.mark.parametrize("type_", [type_ for type_, model in MODELS.items() if issubclass(model, Event)])
def test_an_event_is_completed_as_a_copy_of_it_would_be(type_: str) -> None:
    decided = MODELS[type_].model_validate_json(STORED[type_].read_text("utf-8"))
    assert isinstance(decided, Event)
    before, stamps = decided.model_dump_json(), {"order_id": "A-1002", "actor": None}
    completed, copied = decided.completed(stamps), decided.model_copy(update=stamps)
    assert completed == copied
    assert completed.model_dump_json() == copied.model_dump_json()
    assert completed.model_fields_set == copied.model_fields_set
    assert decided.model_dump_json() == before, "what was decided is not what is stored"


def test_a_reader_finds_what_the_runtime_stamps_and_may_meet_fields_he_does_not_know() -> None:
    closed = json_schema(PUBLIC["dispute.closed.v1"])
    assert set(closed["required"]) >= {"order_id", "actor", "dispute_id", "status"}
    assert not _anywhere(closed, "additionalProperties", False)


@pytest.mark.parametrize("type_", [type_ for type_, model in PUBLIC.items() if hasattr(model, "by")])
def test_a_command_is_published_with_all_its_restrictions(type_: str) -> None:
    command = json_schema(PUBLIC[type_])
    assert command["additionalProperties"] is False
    assert command["x-by"]
    assert {"order_id", "actor"} <= set(command["required"])


@pytest.mark.parametrize("type_", [type_ for type_, model in PUBLIC.items() if hasattr(model, "by")])
def test_the_example_of_a_command_is_by_somebody_who_may_do_it(type_: str) -> None:
    model = PUBLIC[type_]
    assert issubclass(model, Command)
    assert example(model)["actor"]["role"] in model.by


def _keeps(now: Any, then: Any) -> bool:
    """Everything said then is said now; a field added since may come on top."""
    match now, then:
        case dict(), dict():
            return all(name in now and _keeps(now[name], value) for name, value in then.items())
        case list(), list():
            return len(now) == len(then) and all(map(_keeps, now, then))
    return bool(now == then)


def _anywhere(schema: Any, name: str, value: Any) -> bool:
    match schema:
        case dict():
            return schema.get(name) == value or any(_anywhere(part, name, value) for part in schema.values())
        case list():
            return any(_anywhere(part, name, value) for part in schema)
    return False


def test_keeps_allows_additions_only() -> None:
    assert _keeps({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]})
    assert not _keeps({"a": [{"c": 2}]}, {"a": [{"b": 1}]})
    assert not _keeps({"a": []}, {"a": [{"b": 1}]})
