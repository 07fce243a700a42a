"""What may change in a message within its version, and what never may.

Callers go on sending what they send, readers go on finding what they find, and what was stored stays readable. So no
name goes; a command or an entry demands no more than before, an event tells no less; choices and limits may grow wider
and never narrower (readers must expect a word that they do not know); and a message stays on its topic, under its key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

FOR_LIFE = ("$id", "x-kind", "x-topic", "x-key")
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
COMPARED = {"type", "enum", "const", "default", "anyOf", "$ref", "items", "properties", "required", *LOWER, *UPPER}
FREE = {"title", "description", "pattern", "additionalProperties"}
"""Words, and what may be loosened; every keyword that stands in neither set must stay as it is."""
WIDER = {
    (r"^[A-Za-z0-9._:-]{1,64}$", r"^[\x20-\x7e]{1,128}$"),
    (r"^[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$", r"^[^\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$"),
    (r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", r"^[^\x00]*$"),
}
"""(pattern, one that takes all that it took): an id of ours, and what may be a person's; addresses; locales (R75)."""


def breaks(then: Mapping[str, Schema], now: Mapping[str, Schema]) -> Iterator[str]:
    """Where published schemas do not keep what earlier ones promised, a sentence each; both by wire type."""
    for type_, schema in then.items():
        if type_ not in now:
            yield f"{type_} is gone"
        else:
            yield from (f"{type_}: {what}" for what in _message(schema, now[type_]))


def _message(then: Schema, now: Schema) -> Iterator[str]:
    yield from (f"its {name} was {then[name]}" for name in FOR_LIFE if now.get(name) != then[name])
    for role in sorted(set(then.get("x-by", ())) - set(now.get("x-by", ()))):
        yield f"the {role} may not give it any more"
    comparison = _Comparison(then["x-kind"] != "event", then.get("$defs", {}), now.get("$defs", {}))
    yield from comparison.parts("", then, now)


@dataclass(frozen=True)
class _Comparison:
    """Of one message then and now; `at` is the path of what is looked at."""

    is_asked: bool
    """Outsiders write it: a command, an entry."""
    defs_then: Schema
    defs_now: Schema

    def parts(self, at: str, then: Schema, now: Schema) -> Iterator[str]:
        was, is_ = then.get("properties", {}), now.get("properties", {})
        for name in was:
            if name not in is_:
                yield f"{at}{name} is gone"
            else:
                yield from self.field(f"{at}{name}", was[name], is_[name])
        demanded, demands = set(then.get("required", ())), set(now.get("required", ()))
        if self.is_asked:
            yield from (f"{at}{name} must be given now" for name in sorted(demands - demanded))
        else:
            yield from (f"{at}{name} may be missing now" for name in sorted(demanded - demands))
        if now.get("additionalProperties", True) not in (True, then.get("additionalProperties", True)):
            yield f"{at or 'it '}allows less beside its fields"

    def field(self, at: str, then: Schema, now: Schema) -> Iterator[str]:
        was, is_ = _alternatives(then, self.defs_then), _alternatives(now, self.defs_now)
        for kind in was:
            if kind not in is_:
                yield f"{at} may be no {kind} any more"
            else:
                yield from self.value(at, was[kind], is_[kind])
        if not self.is_asked:
            yield from (f"{at} may be {kind} now" for kind in is_ if kind not in was)
        if "default" in then and now.get("default", then) != then["default"]:
            yield f"{at} means something else where it is left out"

    def value(self, at: str, then: Schema, now: Schema) -> Iterator[str]:
        """Of one kind."""
        words, known = _words(then), _words(now)
        if known is not None and (words is None or not words <= known):
            lost = "other words" if words is None else ", ".join(sorted(map(str, words - known)))
            yield f"{at} does not take {lost} any more"
        for name in sorted(now.keys() & {*LOWER, *UPPER}):
            if name not in then or (now[name] > then[name] if name in LOWER else now[name] < then[name]):
                yield f"{at} has a narrower limit: {name} {now[name]}"
        pattern, before = now.get("pattern"), then.get("pattern")
        if pattern not in (None, before) and (before, pattern) not in WIDER:
            yield f"{at} has another pattern, and nobody can say whether it takes all that it took"
        for name in sorted((then.keys() | now.keys()) - COMPARED - FREE):
            if then.get(name) != now.get(name):
                yield f"{at} has another {name}"
        if "items" in then and "items" in now:
            yield from self.field(f"{at}[]", then["items"], now["items"])
        yield from self.parts(f"{at}.", then, now)


def _alternatives(field: Schema, defs: Schema) -> dict[str, Schema]:
    """By JSON type, references followed."""
    choices = [defs[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in field.get("anyOf", [field])]
    found = {one.get("type", "anything"): one for one in choices}
    if len(found) < len(choices):
        raise NotImplementedError(f"alternatives of one type cannot be told apart: {field}")
    return found


def _words(value: Schema) -> set[Any] | None:
    """None: any."""
    if "const" in value:
        return {value["const"]}
    return set(value["enum"]) if "enum" in value else None
