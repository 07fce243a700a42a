"""The contract on the bus: what others rely on stays as it was promised, and holds for every message to come."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from deploy.publish import models
from schemas.compatibility import breaks
from schemas.publish import is_public, json_schema, released
from schemas.topics import PARTITIONS, all_topics
from schemas.wire import Code, Message, Role, Shape
from shared.rules.policies import load

CARRIED = {
    "order": "order_id actor? protection_ends_at?",
    "dispute": "order_id actor?",
    "mediation": "order_id actor?",
    "refund": "order_id actor?",
    "notification": "order_id actor?",
    "timer": "order_id actor?",
    "payments": "",
}
"""On every event of the service. `payments.events` are the payment service's: of these the key says the order."""

CARRIED_WITH_A_SUBJECT = {
    "order": "status deadlines?",
    "dispute": "dispute_id status deadlines?",
    "mediation": "dispute_id status deadlines?",
}
WITHOUT_A_SUBJECT = {
    "order.resumed.v1",
    "dispute.resumed.v1",
    "mediation.resumed.v1",
    "order.freeze_refused.v1",
    "order.rejected.v1",
    "dispute.rejected.v1",
    "mediation.rejected.v1",
    "mediation.mediator_registered.v1",
    "mediation.mediator_retired.v1",
}
"""A refusal may be about what does not exist; the roster knows no dispute; a parked order goes on as a whole."""
FACTLESS = ".repeated.v1"
"""Who repeats himself may have been refused because the order is none of his business (R77)."""

TOPICS = """
order.commands dispute.commands mediation.commands refund.commands timer.commands notification.commands
payments.commands mediation.roster people
order.events dispute.events mediation.events refund.events notification.events timer.events payments.events
order.dead-letters dispute.dead-letters mediation.dead-letters refund.dead-letters notification.dead-letters
timer.dead-letters casefile.dead-letters
"""

CODES = """
key_mismatch idempotency_conflict invalid not_found already_exists not_allowed too_early too_late wrong_state
already_disputed limit_exceeded amount_exceeds offer_superseded consequence_changed
"""

ROLES = "buyer seller mediator operator platform"

SCHEMAS = {model.type: json_schema(model) for model in models() if is_public(model)}
EVENTS = {type_: schema for type_, schema in SCHEMAS.items() if schema["x-kind"] == "event"}


def listed(row: str) -> dict[str, bool]:
    """Name -> may it be left out, or null?"""
    return {field.rstrip("?"): field.endswith("?") for field in row.split()}


def published(schema: Mapping[str, Any]) -> dict[str, bool]:
    """Name -> may it be left out, or null?"""
    required = schema.get("required", ())
    return {
        name: name not in required or {"type": "null"} in (field, *field.get("anyOf", ()))
        for name, field in schema["properties"].items()
    }


def inside(schema: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """What a field, or each of its items, is made of; None if it has no parts."""
    field = schema["properties"][name]
    for found in (field, *field.get("anyOf", ())):
        reference = found.get("items", found).get("$ref")
        if reference is not None:
            shape: Mapping[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
            return shape
    return None


def assert_offers(schema: Mapping[str, Any], row: str) -> None:
    """Readers find every name of the row, and a value wherever the row promises one."""
    offered = published(schema)
    for name, optional in listed(row).items():
        assert name in offered, f"{schema['title']} lacks {name}"
        assert optional or not offered[name], f"{schema['title']}: readers rely on {name}, it is always there"


def test_a_message_is_made_ready_when_it_is_first_met_and_every_one_can_be() -> None:
    class Unmet(Shape):
        number: int

    assert not Unmet.__pydantic_complete__
    assert Unmet(number=1).number == 1
    assert Unmet.__pydantic_complete__
    for model in Message.MODELS.values():
        model.model_rebuild()
        assert model.__pydantic_complete__


def test_the_last_release_is_kept() -> None:
    broken = list(breaks(released(), SCHEMAS))
    assert not broken, "\n".join(["undo it, or give the message a new version beside the old one:", *broken])


def new_rights(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for type_, command in then.items():
        for role in sorted(set(now[type_].get("x-by", ())) - set(command.get("x-by", ()))):
            yield f"{role}: {type_}"


def test_nobody_may_do_more_than_was_released() -> None:
    given = list(new_rights(released(), SCHEMAS))
    assert not given, f"{given}: if this right is meant, `make release` gives it, and a review sees it there"
    wider = {"dispute.cancel.v1": SCHEMAS["dispute.cancel.v1"] | {"x-by": ["buyer", "seller"]}}
    assert list(new_rights({"dispute.cancel.v1": SCHEMAS["dispute.cancel.v1"]}, wider)) == ["seller: dispute.cancel.v1"]


@pytest.mark.parametrize("type_", EVENTS)
def test_an_event_carries_what_all_events_of_its_service_carry(type_: str) -> None:
    service = (EVENTS[type_]["x-topic"] or "timer.events").removesuffix(".events")  # bells go into every inbox
    if type_.endswith(FACTLESS):
        told = {"order_id", "actor", "command_id", "answer_id", "answer_type", "answered_at"}
        assert published(EVENTS[type_]).keys() == told
        return
    assert_offers(EVENTS[type_], CARRIED[service])
    if type_ not in WITHOUT_A_SUBJECT:
        assert_offers(EVENTS[type_], CARRIED_WITH_A_SUBJECT.get(service, ""))


def test_a_part_is_made_of_the_same_wherever_it_is_named() -> None:
    """But lines, which each message tells as far as it concerns them."""
    made: dict[str, set[tuple[tuple[str, bool], ...]]] = defaultdict(set)
    for schema in SCHEMAS.values():
        for name in schema["properties"].keys() - {"lines"}:
            if (shape := inside(schema, name)) is not None:
                made[name].add(tuple(sorted(published(shape).items())))
    different = {name: shapes for name, shapes in made.items() if len(shapes) > 1}
    assert made.keys() >= {"actor", "buyer", "terms", "evidence"}
    assert not different, f"{different}: a reader of one message expects the same of another; give it a name of its own"


@pytest.mark.rule("R74")
def test_what_is_said_of_people_is_forgotten_when_it_is_replaced_or_erased() -> None:
    """Everywhere else nothing is."""
    compacted = {topic.name: topic for topic in all_topics() if topic.config["cleanup.policy"] != "delete"}
    assert compacted.keys() == {"people"}
    people = compacted["people"]
    assert people.writers == {"gateway", "operator"}
    assert people.readers == {"notification", "operator"}
    day = 24 * 3600 * 1000
    assert people.config["cleanup.policy"] == "compact"
    assert people.config["max.compaction.lag.ms"] == str(day)
    commands = next(topic for topic in all_topics() if topic.name == "order.commands")
    assert people.config["delete.retention.ms"] == commands.config["retention.ms"] == str(28 * day)


def test_only_the_roster_has_a_key_of_its_own() -> None:
    keyed = {type_ for type_, schema in SCHEMAS.items() if schema["x-key"] == "mediators"}
    of_people = {type_ for type_, schema in SCHEMAS.items() if schema["x-key"] == "person_id"}
    assert of_people == {"people.person.v1"} == {t for t, schema in SCHEMAS.items() if schema["x-kind"] == "entry"}
    fixed = {
        type_
        for type_, schema in SCHEMAS.items()
        if schema["properties"].get("order_id", {}).get("const") == "mediators"
    }
    assert keyed == {"mediation.seat.v1"}
    assert fixed == {"mediation.register_mediator.v1", "mediation.retire_mediator.v1"}


def test_refusal_codes_in_their_order_of_precedence() -> None:
    assert list(get_args(Code)) == CODES.split()
    assert set(get_args(Role)) == set(ROLES.split())


def test_the_topics() -> None:
    topics = all_topics(prefix="eu-")
    assert {topic.name for topic in topics} == {f"eu-{name}" for name in TOPICS.split()}
    assert {topic.partitions for topic in topics} == {PARTITIONS} == {12}
    assert {topic.config["message.timestamp.type"] for topic in topics} == {"LogAppendTime"}
    kept_for_ever = {
        topic.config["retention.ms"] for topic in topics if not topic.name.endswith((".commands", ".roster"))
    }
    assert kept_for_ever == {"-1"}, "events are the state, and whoever reads late reads all of them"


def test_a_schedule_is_kept_for_longer_than_any_alarm_waits() -> None:
    """It is the only record of its alarm besides the table of timers, which may be lost."""
    config = next(topic.config for topic in all_topics() if topic.name == "timer.commands")
    days = max(policy.max_protection_days for policy in load().by_ref.values())
    assert int(config["retention.ms"]) > 2 * days * 24 * 3600 * 1000
