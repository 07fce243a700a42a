"""Commands made from the published JSON Schemas: what a stranger who has read them may send, and what is one field off.

The names of an order and of its people stand as `ORDER` in what is drawn, and are put in by whoever sends it.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schemas.publish import PUBLISHED
from schemas.topics import COMMAND_BYTES_MAX, SERVICES
from schemas.wire import MEDIATORS_KEY

Schema = dict[str, Any]
Tree = dict[str, Any]

ORDER = "@order"
KNOWN: dict[str, list[Any]] = {
    "order_id": [ORDER],
    "actor": [
        *({"role": role, "id": f"{role}-{ORDER}"} for role in ("buyer", "seller")),
        *({"role": "mediator", "id": name} for name in ("mara", "noel")),
        {"role": "operator", "id": "olga"},
        {"role": "platform", "id": "checkout"},
    ],
    "dispute_id": ["d1"],
    "question_id": ["q1"],
    "line_id": ["lamp"],
    "mediator_id": ["mara", "noel"],
    "offer_id": [1, 2, 3],
    "policy": ["aliexpress"],
    "refund_minor": [1, 500],
    "round": [1],
    "settlement_id": [f"{ORDER}:1", f"{ORDER}:d1"],
    "timer_id": [f"order/{ORDER}"],
}
"""By field: what means something to an order of the tests; drawn so many times as often as whatever is allowed."""
KNOWN_SHARE = 9
ROLE_FITS_SHARE = 3
"""The actor is mostly one whose role may do it."""
LIST_MAX = 3
TEXT_SHORT, TEXT_LONG = 40, 4_000
"""Characters; the long one, where the schema names no maximum."""
NO_SURROGATES: Any = ("Cs",)
WRONG: dict[str, list[Any]] = {
    "string": [7, True, [], {}, None],
    "integer": [1.5, "1", True, [], None],
    "boolean": [0, "true", None],
    "array": [{}, "x", None],
    "object": [[], "x", 7, None],
}


@cache
def schemas() -> list[Schema]:
    """Of every command that one of our services takes."""
    inboxes = {f"{service}.commands" for service in SERVICES}
    found = [json.loads(path.read_text("utf-8")) for path in sorted(PUBLISHED.glob("*.json"))]
    return [schema for schema in found if schema["x-kind"] == "command" and schema["x-topic"] in inboxes]


def good(schema: Schema, count: int) -> list[Tree]:
    """What it allows, about so many and the same every time."""
    found: list[Tree] = []
    quietly = settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    quietly(given(_values(schema, schema))(lambda content: found.append(content)))()
    return [content for content in found if len(placed(schema, content, ORDER)[1]) < COMMAND_BYTES_MAX / 2]


def placed(schema: Schema, content: Any, order_id: str) -> tuple[bytes, bytes]:
    """(key, value) of it for this order: under the key that its content asks for, if that may be one."""
    value = json.dumps(content, ensure_ascii=False).replace(ORDER, order_id).encode()
    named = json.loads(value).get("order_id") if isinstance(content, dict) else None
    if schema["x-key"] == MEDIATORS_KEY:
        return MEDIATORS_KEY.encode(), value
    return (named if isinstance(named, str) and named and "\0" not in named else order_id).encode(), value


def bad(schema: Schema, contents: list[Tree]) -> list[tuple[str, Any]]:
    """(what is wrong, content) of all that is one thing off the fullest of these."""
    fullest = max(contents, key=lambda content: len(json.dumps(content)))
    return list(_misses(schema, fullest, schema))


def _resolved(schema: Schema, root: Schema) -> Schema:
    return root["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _values(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    schema = _resolved(schema, root)
    match schema:
        case {"anyOf": options}:
            return st.one_of(*(_values(option, root) for option in options))
        case {"const": value}:
            return st.just(value)
        case {"enum": values}:
            return st.sampled_from(values)
        case {"type": "object"}:
            fields = {name: _field(name, field, root) for name, field in schema["properties"].items()}
            required = {name: fields.pop(name) for name in schema["required"]}
            return st.fixed_dictionaries(required, optional=fields)
        case {"type": "array"}:
            least = schema.get("minItems", 0)
            return st.lists(_values(schema["items"], root), min_size=least, max_size=max(least, LIST_MAX))
        case {"type": "string"}:
            return _strings(schema)
        case {"type": "integer"}:
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "null"}:
            return st.none()
    raise AssertionError(f"a keyword that no schema of ours had: {schema}")


def _field(name: str, schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    whatever = _values(schema, root)
    if name not in KNOWN:
        return whatever
    known = KNOWN[name]
    if name == "actor":
        known = known + [actor for actor in known if actor["role"] in root["x-by"]] * ROLE_FITS_SHARE
    return st.integers(0, KNOWN_SHARE).flatmap(lambda drawn: st.sampled_from(known) if drawn else whatever)


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    match schema:
        case {"format": "date-time"}:
            return st.datetimes(timezones=st.timezones()).map(lambda instant: instant.isoformat())
        case {"pattern": r"^[^\x00]*$"}:
            text = st.characters(exclude_characters="\0", exclude_categories=NO_SURROGATES)
            return st.text(text, min_size=least, max_size=TEXT_SHORT) | text.map(
                lambda character: character * (most or TEXT_LONG)
            )
        case {"pattern": pattern}:  # without its $, which in Python allows a line break at the end
            characters = st.characters(exclude_categories=NO_SURROGATES)
            matching = st.from_regex(pattern[1:-1], fullmatch=True, alphabet=characters)
            return matching.filter(lambda text: least <= len(text) <= (most or len(text)))
    return st.text(min_size=least, max_size=most)


def _misses(schema: Schema, value: Any, root: Schema) -> Iterator[tuple[str, Any]]:
    """(what is wrong, the whole with that one thing wrong): each of them breaks the schema."""
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        (real,) = (option for option in schema["anyOf"] if option != {"type": "null"})
        for what, broken in _misses(real, value, root) if value is not None else ():
            if broken is not None:
                yield what, broken
        return
    kind = schema.get("type", "string")
    for wrong in WRONG[kind]:
        yield f"{wrong!r} for {kind}", wrong
    match kind:
        case "object":
            yield "an unknown field", {**value, "surprise": 1}
            for name in schema["required"]:
                yield f"without {name}", {other: part for other, part in value.items() if other != name}
            for name in value:
                for what, broken in _misses(schema["properties"][name], value[name], root):
                    yield f"{name}: {what}", {**value, name: broken}
        case "array":
            for number, part in enumerate(value):
                for what, broken in _misses(schema["items"], part, root):
                    yield f"{number}: {what}", [*value[:number], broken, *value[number + 1 :]]
        case "integer":
            for bound, step in (("minimum", -1), ("maximum", 1)):
                if bound in schema:
                    yield f"beyond the {bound}", schema[bound] + step
        case "string":
            yield "NUL", "before\0after"
            if "enum" in schema:
                yield "none of these", "king"
            if schema.get("format") == "date-time":
                yield "no instant", "never"
            if "minLength" in schema:
                yield "too short", ""
            if "maxLength" in schema:
                yield "too long", "x" * (schema["maxLength"] + 1)
