"""The contract is only ever added to: what a release promised holds, and whatever breaks it is named."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from schemas.compatibility import breaks
from schemas.order.commands import Place
from schemas.publish import RELEASED, Broken, as_text, json_schema, release, released

Json = dict[str, Any]
Change = Callable[[Json], object]

COMMAND, EVENT = "order.place.v1", "dispute.opened.v1"
PROMISED = {type_: released()[type_] for type_ in (COMMAND, EVENT)}


def changed(type_: str, change: Change) -> list[str]:
    """What is said of the released message after this change of it."""
    now = deepcopy(PROMISED)
    change(now[type_])
    return list(breaks(PROMISED, now))


def line(schema: Json) -> Any:
    return schema["$defs"]["OrderLine" if "OrderLine" in schema["$defs"] else "FrozenLine"]


def terms(schema: Json) -> Any:
    return schema["$defs"]["Terms"]["properties"]


def add(schema: Json) -> None:
    schema["properties"]["colour"] = {"type": "string", "maxLength": 9}


def demand(schema: Json) -> None:
    add(schema)
    schema["required"].append("colour")


def limit(name: str, by: int) -> Change:
    return lambda schema: line(schema)["properties"]["amount_minor"].update({name: by})


def nullable(schema: Json) -> None:
    schema["properties"]["currency"] = {"anyOf": [schema["properties"]["currency"], {"type": "null"}]}


BREAKS: list[tuple[str, Change, str]] = [
    (COMMAND, lambda it: it["properties"].pop("policy"), "policy is gone"),
    (COMMAND, demand, "colour must be given now"),
    (COMMAND, lambda it: line(it)["required"].append("colour"), "lines[].colour must be given now"),
    (COMMAND, lambda it: it["x-by"].remove("platform"), "the platform may not give it any more"),
    (COMMAND, lambda it: it.update({"x-topic": "dispute.commands"}), "its x-topic was order.commands"),
    (COMMAND, lambda it: it.update({"x-key": "mediators"}), "its x-key was order_id"),
    (COMMAND, lambda it: it["$defs"]["Actor"]["properties"]["role"]["enum"].pop(), "actor.role does not take platform"),
    (COMMAND, limit("maximum", 10**9), "lines[].amount_minor has a narrower limit: maximum 1000000000"),
    (COMMAND, limit("minimum", 2), "lines[].amount_minor has a narrower limit: minimum 2"),
    (COMMAND, limit("multipleOf", 5), "lines[].amount_minor has another multipleOf"),
    (COMMAND, lambda it: it["properties"]["lines"].update(maxItems=10), "lines has a narrower limit: maxItems 10"),
    (COMMAND, lambda it: it["properties"]["currency"].update(pattern="^EUR$"), "currency has another pattern"),
    (COMMAND, lambda it: it["properties"]["currency"].update(type="integer"), "currency may be no string any more"),
    (COMMAND, lambda it: it["properties"]["policy"].update(default="demo"), "policy means something else"),
    (EVENT, lambda it: it["properties"].pop("offer_id"), "offer_id is gone"),
    (EVENT, lambda it: it["required"].remove("status"), "status may be missing now"),
    (EVENT, lambda it: it.update({"x-kind": "command"}), "its x-kind was event"),
    (EVENT, lambda it: terms(it)["kind"]["enum"].remove("none"), "terms.kind does not take none any more"),
    (EVENT, lambda it: it["properties"]["claimed_minor"].update(type="string"), "claimed_minor may be string now"),
    (EVENT, nullable, "currency may be null now"),
    (EVENT, lambda it: it.update(additionalProperties=False), "it allows less beside its fields"),
    (EVENT, lambda it: it["properties"]["escalates_at"].pop("format"), "escalates_at has another format"),
]

GROWTH: list[tuple[str, Change]] = [
    (COMMAND, add),
    (COMMAND, nullable),
    (COMMAND, lambda it: it["required"].remove("payment")),
    (COMMAND, lambda it: it["x-by"].append("operator")),
    (COMMAND, lambda it: it["$defs"]["Actor"]["properties"]["role"]["enum"].append("auditor")),
    (COMMAND, limit("maximum", 10**15)),
    (COMMAND, limit("minimum", 0)),
    (COMMAND, lambda it: it["properties"]["currency"].pop("pattern")),
    (COMMAND, lambda it: it["properties"]["currency"].update(description="in which the buyer paid")),
    (EVENT, add),
    (EVENT, demand),
    (EVENT, lambda it: terms(it)["kind"]["enum"].append("repair")),
]


@pytest.mark.parametrize(("type_", "change", "sentence"), BREAKS, ids=[f"{one[0]}: {one[2]}" for one in BREAKS])
def test_what_breaks_the_contract_is_said(type_: str, change: Change, sentence: str) -> None:
    found = changed(type_, change)
    assert any(one.startswith(f"{type_}: {sentence}") for one in found), found


@pytest.mark.parametrize(("type_", "change"), GROWTH)
def test_the_contract_may_grow(type_: str, change: Change) -> None:
    assert not changed(type_, change)


def test_a_message_never_goes() -> None:
    assert list(breaks(PROMISED, {COMMAND: PROMISED[COMMAND]})) == [f"{EVENT} is gone"]


def test_what_is_released_is_a_file_a_message() -> None:
    assert released()
    assert all(schema["title"] == path.stem for path in RELEASED.iterdir() for schema in [released()[path.stem]])


def test_a_release_promises_what_is_new_and_refuses_what_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.publish.RELEASED", tmp_path)
    promise = tmp_path / f"{COMMAND}.json"
    assert release([Place]) == [promise]
    assert release([Place]) == []
    wider = json_schema(Place) | {"x-by": ["buyer", "operator", "platform"]}
    promise.write_text(as_text(wider))
    with pytest.raises(Broken, match="the operator may not give it any more"):
        release([Place])
    assert promise.read_text() == as_text(wider)
