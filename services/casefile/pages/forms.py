"""A command as a form, made of its published model: which fields it has, what was typed as the command says it, and at
which field a refusal stands. A new command, or a new field of one, is a form without a line here.

Typed fields have flat names: `terms.refund_minor`, `evidence.0.uri`. Money is typed in major units of the order's
currency, yes and no by those words, several values one per line.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from schemas.instants import rfc3339
from schemas.wire import Actor, Command
from services.casefile.pages.phrasing import Phrasing

UNASKED = frozenset({"order_id", "actor", "expect"})
"""Whose order and who acts is known; the consequence that was shown is what is expected."""
CHOSEN_BY_CLIENT = {("dispute.open.v1", "dispute_id"), ("mediation.ask.v1", "question_id"), ("", "evidence_id")}
"""New names, which the form makes; of a file in every command."""
ROWS_MAX = 20
LONG = 1_000
"""A text that may be longer gets several lines."""


@dataclass(frozen=True, slots=True)
class FormField:
    """One thing that a command says; `kind`: text, lines (a long one), number, money, choice, yes_no, several, instant,
    group (of `parts`), rows (of groups)."""

    name: str
    kind: str
    is_required: bool
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple["FormField", ...] = ()
    is_made: bool = False
    """By the form itself: nobody types it."""

    @property
    def key(self) -> str:
        return self.name.rpartition(".")[2]

    def leaves(self) -> Iterator["FormField"]:
        yield self
        for part in self.parts:
            yield from part.leaves()


@dataclass(frozen=True)
class Form:
    """What is asked for to say a command. `fixed`: what it must say as it is; `choices`: of what the order has, by the
    field's own name (evidence_ids, line_id …)."""

    model: type[Command]
    fixed: Mapping[str, Any]
    currency: str
    choices: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[FormField, ...]:
        schema = self.model.model_json_schema(by_alias=True)
        return tuple(
            self._field(name, part, name in schema["required"], schema.get("$defs", {}))
            for name, part in schema["properties"].items()
            if name not in UNASKED and name not in self.fixed and "const" not in part
        )

    def _field(self, name: str, said: Mapping[str, Any], is_required: bool, shapes: Mapping[str, Any]) -> FormField:
        part = {**said, **next((one for one in said.get("anyOf", ()) if one.get("type") != "null"), {})}
        if "$ref" in part:
            part = {**shapes[part["$ref"].rpartition("/")[2]], **part}
        key = name.rpartition(".")[2]
        made = not {(self.model.type, name), ("", key)}.isdisjoint(CHOSEN_BY_CLIENT)
        made_of = FormField(
            name, "text", is_required, said.get("description") or part.get("description", ""), limits=part, is_made=made
        )
        if "properties" in part:
            return replace(
                made_of, kind="group", hint=said.get("description", ""), parts=self._group(name, part, shapes)
            )
        if part.get("type") == "array":
            return self._several(made_of, part, shapes)
        choices = self.choices.get(key) or tuple((one, "") for one in part.get("enum", ()))
        return replace(made_of, kind="choice" if choices else _kind(key, part), choices=choices)

    def _group(self, name: str, part: Mapping[str, Any], shapes: Mapping[str, Any]) -> tuple[FormField, ...]:
        required = part.get("required", ())
        return tuple(
            self._field(f"{name}.{key}", one, key in required, shapes) for key, one in part["properties"].items()
        )

    def _several(self, made_of: FormField, part: Mapping[str, Any], shapes: Mapping[str, Any]) -> FormField:
        items = part["items"]
        if "$ref" not in items:
            return replace(made_of, kind="several", choices=self.choices.get(made_of.key, ()))
        shape = shapes[items["$ref"].rpartition("/")[2]]
        count = max(self.rows.get(made_of.name, 0), 1 if made_of.is_required else 0)
        rows = tuple(
            FormField(
                f"{made_of.name}.{number}", "group", False, parts=self._group(f"{made_of.name}.{number}", shape, shapes)
            )
            for number in range(min(count, ROWS_MAX))
        )
        return replace(made_of, kind="rows", parts=rows)


def _kind(key: str, part: Mapping[str, Any]) -> str:
    match part.get("type"):
        case "boolean":
            return "yes_no"
        case "integer":
            return "money" if key.endswith("_minor") else "number"
        case _ if part.get("format") == "date-time":
            return "instant"
        case _:
            return "lines" if part.get("maxLength", 0) > LONG and "uri" not in key else "text"


def rows_typed(typed: Mapping[str, str], more: str | None = None) -> dict[str, int]:
    """How many rows of each list were filled in, and one more of `more`."""
    found: dict[str, int] = {}
    for name in typed:
        if match := re.fullmatch(r"(\w+)\.(\d{1,3})\.\w+", name):
            found[match[1]] = max(found.get(match[1], 0), int(match[2]) + 1)
    return found | ({more: found.get(more, 0) + 1} if more else {})


@dataclass(frozen=True)
class Filled:
    """What was typed, as the command says it; `wrong`: field -> a sentence, '' of the form as a whole."""

    data: Mapping[str, Any]
    wrong: Mapping[str, str]


def filled(form: Form, typed: Mapping[str, str], order_id: str, actor: Actor, words: Phrasing) -> Filled:
    """Never raises: whatever was typed is a command or has a sentence at its field."""
    wrong: dict[str, str] = {}
    properties = form.model.model_json_schema()["properties"]
    consts = {name: info["const"] for name, info in properties.items() if "const" in info and name not in UNASKED}
    data = {**consts, **_said(form.fields, typed, form.currency, words, wrong), **form.fixed}
    if wrong:
        return Filled(data, wrong)
    names = {leaf.name for one in form.fields for leaf in one.leaves()}
    try:
        whole = {**_expected(form.model), **data, "order_id": order_id, "actor": actor.model_dump()}
        form.model.model_validate_json(json.dumps(whole))
    except ValidationError as error:
        for one in error.errors():
            name = _named(one["loc"], names)
            limits = dict(one.get("ctx", {}))
            if name.endswith("_minor"):
                limits |= {
                    key: words.money(value, form.currency) for key, value in limits.items() if isinstance(value, int)
                }
            wrong.setdefault(name, _sentence(one["type"], limits, one["msg"], words))
    return Filled(data, wrong)


def fixed_of(model: type[Command], typed: Mapping[str, str], currency: str, words: Phrasing) -> dict[str, Any]:
    """What a link says that the command must say as it is, of the fields that are named. Raises ValueError."""
    wrong: dict[str, str] = {}
    tops = {name.partition(".")[0] for name in typed}
    form = Form(model, {}, currency, rows=rows_typed(typed))
    said = _said(tuple(one for one in form.fields if one.key in tops), typed, currency, words, wrong)
    if wrong:
        raise ValueError("; ".join(wrong.values()))
    return said


def _expected(model: type[Command]) -> dict[str, str]:
    return {"expect": expectations(model)[0]} if expectations(model) else {}


def expectations(model: type[Command]) -> tuple[str, ...]:
    """The consequences that it may name (R29); one of them is true."""
    said = model.model_json_schema()["properties"].get("expect", {})
    return tuple(next((one["enum"] for one in [said, *said.get("anyOf", ())] if "enum" in one), ()))


def _said(
    fields: tuple[FormField, ...], typed: Mapping[str, str], currency: str, words: Phrasing, wrong: dict[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in fields:
        match one.kind:
            case "group":
                if one.is_required or _is_typed(one, typed):
                    found[one.key] = _said(one.parts, typed, currency, words, wrong)
            case "rows":
                rows = [_said(row.parts, typed, currency, words, wrong) for row in one.parts if _is_typed(row, typed)]
                if rows or one.is_required:
                    found[one.key] = rows
            case _:
                text = typed.get(one.name, "").replace("\r\n", "\n")
                if one.kind == "several":
                    several = [line.strip() for line in text.split("\n") if line.strip()]
                    if several or one.is_required:
                        found[one.key] = several
                elif text.strip():
                    found |= {one.key: _read(one, text, currency, words, wrong)}
                elif one.is_required:
                    wrong[one.name] = words.word("wrong_missing")
    return found


def _is_typed(one: FormField, typed: Mapping[str, str]) -> bool:
    return any(typed.get(leaf.name, "").strip() for leaf in one.leaves() if not leaf.is_made)


def _read(one: FormField, text: str, currency: str, words: Phrasing, wrong: dict[str, str]) -> Any:
    try:
        match one.kind:
            case "money":
                return words.minor(text, currency)
            case "number":
                return _whole(text)
            case "yes_no":
                return {"yes": True, "no": False}[text]
            case "instant":
                return rfc3339(words.instant(text))
            case _:
                return text
    except (ValueError, KeyError):
        kind = "choice" if one.kind == "yes_no" else one.kind
        wrong[one.name] = words.word(
            f"wrong_{kind}", **({"example": words.typed(1_234, currency)} if kind == "money" else {})
        )
        return None


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,15}", text.strip(), re.ASCII):
        raise ValueError("no whole number")
    return int(text)


def typed_of(data: Mapping[str, Any], currency: str, words: Phrasing, under: str = "") -> dict[str, str]:
    """What would have been typed to say this."""
    found: dict[str, str] = {}
    for key, value in data.items():
        name = f"{under}{key}"
        match value:
            case None:
                pass
            case dict():
                found |= typed_of(value, currency, words, f"{name}.")
            case [dict(), *_]:
                for number, row in enumerate(value):
                    found |= typed_of(row, currency, words, f"{name}.{number}.")
            case list() | tuple():
                found[name] = "\n".join(map(str, value))
            case bool():
                found[name] = "yes" if value else "no"
            case int() if key.endswith("_minor"):
                found[name] = words.typed(value, currency)
            case _:
                found[name] = str(value)
    return found


def _named(place: tuple[int | str, ...], names: set[str]) -> str:
    """The field in which a validation went wrong, or the nearest one around it."""
    parts = [str(part) for part in place]
    while parts:
        if ".".join(parts) in names:
            return ".".join(parts)
        parts.pop()
    return ""


def _sentence(kind: str, limits: Mapping[str, Any], message: str, words: Phrasing) -> str:
    limit = next((limits[name] for name in ("ge", "le", "min_length", "max_length", "gt", "lt") if name in limits), "")
    match kind:
        case "missing" | "string_too_short":
            return words.word("wrong_missing")
        case "greater_than_equal":
            return words.word("wrong_low", limit=limit)
        case "less_than_equal":
            return words.word("wrong_high", limit=limit)
        case "string_too_long":
            return words.word("wrong_long", limit=limit)
        case "too_short":
            return words.word("wrong_few", limit=limit)
        case "too_long":
            return words.word("wrong_high", limit=limit)
        case "string_pattern_mismatch" | "string_unicode":
            return words.word("wrong_text")
        case "literal_error":
            return words.word("wrong_choice")
        case _:
            return message.removeprefix("Value error, ")


PLACES = (("max_minor", "refund_minor"), ("max_days", "days"), ("offer", "offer_id"), ("actual", "expect"))
"""What a refusal's details are about (`Rejected.details`), and the field that says it."""


def place_of(code: str, details: Mapping[str, Any] | None, form: Form) -> str:
    """The field at which a refusal stands; '': at the form's head."""
    leaves = [leaf for one in form.fields for leaf in one.leaves()]
    for detail, key in PLACES:
        if detail in (details or {}):
            return next((leaf.name for leaf in leaves if leaf.key == key), "")
    if code == "amount_exceeds":
        return next((leaf.name for leaf in leaves if leaf.kind == "money"), "")
    return ""
