"""The contract as files: a JSON Schema of every message on the bus, a golden sample of every message ever stored.

`make schemas` writes both. A schema follows its model; a golden sample is written once, from the model's example, and
never again: what it shows has been on the bus or in a database, and is readable for ever. `make release` keeps the
schemas as they are: what was released is promised, and later schemas are compared with it (schemas/compatibility.py).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from schemas.compatibility import breaks
from schemas.example import example
from schemas.topics import OUTSIDERS_WRITE
from schemas.wire import MEDIATORS_KEY, AnyMessage, Command, Event, OrderMessage, PrivateEvent, TopicEntry

PUBLISHED = Path(__file__).parent / "published"
GOLDEN = Path(__file__).parent / "golden"
RELEASED = Path(__file__).parent / "released"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARTS = ("type", "properties", "required", "additionalProperties", "$defs")


class _Untitled(GenerateJsonSchema):
    """A field's name is title enough."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def is_public(model: AnyMessage) -> bool:
    return not issubclass(model, PrivateEvent)


def json_schema(model: AnyMessage) -> dict[str, Any]:
    """A command or an entry as it is checked: unknown fields are refused. An event as it is written, for readers who
    ignore what they do not know: what the runtime stamps on it is always there."""
    made = model.model_json_schema(schema_generator=_Untitled)
    about: dict[str, Any] = {"$schema": DIALECT, "$id": f"urn:recourse:{model.type}", "title": model.type}
    if "description" in made:
        about["description"] = " ".join(made["description"].split())
    about["x-kind"] = _kind(model)
    about["x-topic"] = model.topic
    about["x-key"] = _key(model)
    if issubclass(model, Command):
        about["x-by"] = sorted(model.by)
    elif issubclass(model, Event):
        _open_for_readers(model, made)
    return about | {name: made[name] for name in PARTS if name in made}


def _kind(model: AnyMessage) -> str:
    if issubclass(model, TopicEntry):
        return "entry"
    return "command" if issubclass(model, Command) else "event"


def _key(model: AnyMessage) -> str:
    if issubclass(model, TopicEntry):
        return "person_id"
    return "order_id" if model.key is OrderMessage.key else MEDIATORS_KEY


def _open_for_readers(model: AnyMessage, schema: dict[str, Any]) -> None:
    for part in schema.get("$defs", {}).values():
        part.pop("additionalProperties", None)
    for field in schema["properties"].values():
        if field.pop("x-stamped", False):
            del field["default"]
    schema["required"] = [
        field.alias or name
        for name, field in model.model_fields.items()
        if field.is_required() or (_is_stamped(field) and model.topic not in OUTSIDERS_WRITE)
    ]


def _is_stamped(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("x-stamped"))


def as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def publish(models: Iterable[AnyMessage]) -> list[Path]:
    """Writes what is new or has changed, and returns it. Raises ValidationError where a new message's example is none
    of its kind: its golden sample could never be mended."""
    written = []
    PUBLISHED.mkdir(exist_ok=True)
    GOLDEN.mkdir(exist_ok=True)
    for model in models:
        schema, golden = PUBLISHED / f"{model.type}.json", GOLDEN / f"{model.type}.json"
        if is_public(model) and _changed(schema, text := as_text(json_schema(model))):
            schema.write_text(text, "utf-8")
            written.append(schema)
        if not golden.exists():
            text = as_text(example(model))
            model.model_validate_json(text)
            golden.write_text(text, "utf-8")
            written.append(golden)
    return written


class Broken(Exception):
    """The contract does not keep what the last release promised; its message says where, a line each."""


def released() -> dict[str, dict[str, Any]]:
    """What the last release promised, by wire type."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(RELEASED.glob("*.json"))}


def release(models: Iterable[AnyMessage]) -> list[Path]:
    """Promises what the models say now; writes what is new or has changed, and returns it. Raises Broken."""
    schemas = {model.type: json_schema(model) for model in models if is_public(model)}
    if broken := list(breaks(released(), schemas)):
        raise Broken("\n".join(broken))
    written = []
    RELEASED.mkdir(exist_ok=True)
    for type_, schema in schemas.items():
        path = RELEASED / f"{type_}.json"
        if _changed(path, text := as_text(schema)):
            path.write_text(text, "utf-8")
            written.append(path)
    return written


def _changed(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text("utf-8") != text
