"""The contract as files: a JSON Schema of every message on the bus, a golden sample of every message ever stored.

`make schemas` writes both. A schema follows its model, which may only gain optional fields; a golden sample is never
written again: what it shows has been on the bus or in a database, and is readable for ever.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from schemas.example import example
from schemas.topics import OUTSIDERS_WRITE
from schemas.wire import MEDIATORS_KEY, AnyMessage, Command, Message, PrivateEvent

PUBLISHED = Path(__file__).parent / "published"
GOLDEN = Path(__file__).parent / "golden"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARTS = ("type", "properties", "required", "additionalProperties", "$defs")


class _Untitled(GenerateJsonSchema):
    """A field's name is title enough."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def is_public(model: AnyMessage) -> bool:
    return not issubclass(model, PrivateEvent)


def json_schema(model: AnyMessage) -> dict[str, Any]:
    """A command as it is checked: unknown fields are refused. An event as it is written, for readers who ignore what
    they do not know: what the runtime stamps on it is always there."""
    made = model.model_json_schema(schema_generator=_Untitled)
    about: dict[str, Any] = {"$schema": DIALECT, "$id": f"urn:recourse:{model.type}", "title": model.type}
    if "description" in made:
        about["description"] = " ".join(made["description"].split())
    about["x-kind"] = "command" if issubclass(model, Command) else "event"
    about["x-topic"] = model.topic
    about["x-key"] = "order_id" if model.key is Message.key else MEDIATORS_KEY
    if issubclass(model, Command):
        about["x-by"] = sorted(model.by)
    else:
        _open_for_readers(model, made)
    return about | {name: made[name] for name in PARTS if name in made}


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


def _changed(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text("utf-8") != text
