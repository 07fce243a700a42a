"""schemas/asyncapi.json says what the models, the topics and the codec say."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.publish import models, rows, subscriptions
from schemas import acts
from schemas.acts import ACTS
from schemas.asyncapi import DOCUMENT, PRINCIPALS, document
from schemas.instants import to_ms
from schemas.publish import as_text, is_public, json_schema
from schemas.topics import COMPACTED, OUTSIDERS_WRITE, PARTITIONS, PROCESSES, SERVICES, all_topics
from services.composition import DECIDERS
from shared.kernel.codec import Decoded, Decoder, dead_letter, published
from shared.kernel.envelope import READ, STRUCTURED, DeadLetter
from shared.kernel.ports import Record, StoredEvent
from shared.runtime.partitions import home_among, partition_of

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
NOW = datetime(2026, 3, 20, 18, 45, tzinfo=UTC)

Json = dict[str, Any]

PUBLIC = {model.type: model for model in models() if is_public(model)}
TOPICS = {topic.name: topic for topic in all_topics()}
DOC: Json = json.loads(DOCUMENT.read_text("utf-8"))


def test_the_document_says_what_the_models_say() -> None:
    assert DOCUMENT.read_text("utf-8") == as_text(document(models(), subscriptions(), rows())), "run `make asyncapi`"


def test_what_is_published_of_acts_is_what_is_declared_and_stands_at_their_messages() -> None:
    assert ACTS.read_text("utf-8") == as_text(acts.document(rows())), "run `make schemas`"
    at_messages = {
        name: {"type": name, **message["x-act"]}
        for name, message in DOC["components"]["messages"].items()
        if "x-act" in message
    }
    assert at_messages == {row["type"]: row for row in rows()}


@pytest.mark.parametrize("type_", PUBLIC)
def test_a_message_stands_on_the_channel_of_its_topic_with_its_published_schema(type_: str) -> None:
    model = PUBLIC[type_]
    topic = model.topic or "refund.commands"  # bells go into every inbox
    assert type_ in DOC["channels"][topic]["messages"]
    message = _resolved({"$ref": f"#/channels/{topic}/messages/{type_}"}, DOC)
    assert message["name"] == type_
    given = {} if model.topic in COMPACTED else {"ce_type": type_}
    assert {name: one["const"] for name, one in message["headers"]["properties"].items() if name == "ce_type"} == given
    published = json_schema(model)
    plain = _resolved({name: part for name, part in published.items() if name != "$defs"}, published)
    assert message["payload"] == {name: part for name, part in plain.items() if name not in {"$schema", "$id"}}


def test_every_topic_is_a_channel_as_it_is_declared() -> None:
    assert set(DOC["channels"]) == set(TOPICS)
    for name, topic in TOPICS.items():
        kafka = DOC["channels"][name]["bindings"]["kafka"]
        assert DOC["channels"][name]["address"] == kafka["topic"] == name
        assert kafka["partitions"] == topic.partitions
        told = kafka["topicConfiguration"]
        assert {key: ",".join(value) if isinstance(value, list) else str(value) for key, value in told.items()} == (
            topic.config
        )


def test_no_channel_has_a_message_of_another_topic() -> None:
    """But bells, which are rung in every inbox, the roster's answer, and the two that stand for any."""
    strangers = {
        (name, message)
        for name, channel in DOC["channels"].items()
        for message in channel["messages"]
        if message not in PUBLIC or PUBLIC[message].topic != name
    }
    inboxes = {name for name in TOPICS if name.endswith(".commands") and "timer" in TOPICS[name].writers}
    assert strangers == (
        {(name, "timer.elapsed.v1") for name in inboxes}
        | {("mediation.roster", "mediation.assign.v1")}
        | {(name, "structured") for name in OUTSIDERS_WRITE - COMPACTED}
        | {(f"{service}.dead-letters", "dead-letter") for service in PROCESSES}
    )


@pytest.mark.parametrize("traceparent", [None, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])
def test_what_our_services_write_has_the_headers_that_are_declared(traceparent: str | None) -> None:
    message = PUBLIC["order.completed.v1"].read(json.dumps(_example("order.completed.v1")))
    place = (3, 7, 7, "order.events", 3, None, "A-1001", message.type, to_ms(NOW))
    stored = StoredEvent(*place, "id-1", "cause-1", "first-1", traceparent=traceparent, data=b"{}")
    _, _, written = published(stored, "order")
    declared = _headers("order.completed.v1")
    assert set(declared["required"]) == {name for name, _ in written} - {"traceparent"}
    assert set(declared["properties"]) == {*declared["required"], "traceparent"}
    for name, value in written:
        assert value is not None
        _assert_fits(value.decode(), declared["properties"][name])


@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_a_dead_letter_has_the_headers_that_are_declared(size: int) -> None:
    record = Record("order.commands", 3, 17, 1_774_032_300_000, b"A-1001", b"x" * size, [("from", b"caller")])
    _, written, _ = dead_letter(record, DeadLetter("not_json: what is this?"), "recourse/order/3", 7)
    declared = _headers("dead-letter")
    added = {name: value for name, value in written if name != "from"}
    assert set(declared["required"]) <= set(added) <= set(declared["properties"])
    assert set(declared["properties"]) - set(declared["required"]) == {"x-dead-letter-cut-from"}
    for name, value in added.items():
        assert value is not None
        _assert_fits(value.decode(), declared["properties"][name])


def test_a_caller_must_give_the_declared_headers_and_no_others() -> None:
    declared = _headers("order.place.v1")
    given = {name: b"order.place.v1" if name == "ce_type" else b"id-1" for name in declared["required"]}
    assert isinstance(_decoded(given), Decoded)
    for name in given:
        assert isinstance(_decoded({key: value for key, value in given.items() if key != name}), DeadLetter)
    ours_alone = {"ce_sequence"}  # heeded on topics that outsiders cannot write
    assert {header for _, header in READ} - ours_alone <= set(declared["properties"])


def test_a_caller_may_send_the_declared_envelope() -> None:
    envelope = DOC["components"]["messages"]["structured"]["payload"]
    type_, data = "order.place.v1", _example("order.place.v1")
    given = {"id": "id-1", "type": type_, "data": data}
    assert set(envelope["required"]) == set(given)
    assert isinstance(_decoded({"content-type": STRUCTURED}, json.dumps(given)), Decoded)
    for name in ("id", "type"):
        rest = {key: value for key, value in given.items() if key != name}
        assert isinstance(_decoded({"content-type": STRUCTURED}, json.dumps(rest)), DeadLetter)


def test_whoever_may_write_or_read_a_topic_is_an_operation() -> None:
    said = {
        (operation["tags"][0]["name"], operation["action"], _last(operation["channel"]))
        for operation in DOC["operations"].values()
    }
    assert said == {
        (principal, action, name)
        for name, topic in TOPICS.items()
        for action, principals in (("send", topic.writers), ("receive", topic.readers))
        for principal in principals
    }
    assert {principal for principal, _, _ in said} == {tag["name"] for tag in DOC["info"]["tags"]} == set(PRINCIPALS)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_receives_what_it_hears(service: str) -> None:
    received = {
        message
        for name, topic in TOPICS.items()
        if service in topic.readers and not name.startswith(f"{service}.") and name != "timer.commands"
        for message in _messages(f"{service}.receive.{name}")
    }
    assert received - {"structured"} == subscriptions()[service]


def test_every_message_has_someone_who_sends_it() -> None:
    sent = {
        (name, message)
        for name, topic in TOPICS.items()
        for principal in topic.writers
        for message in _messages(f"{principal}.send.{name}")
    }
    assert sent == {(name, message) for name in TOPICS for message in DOC["channels"][name]["messages"]}


def test_people_are_not_told_to_send_what_our_services_say_among_themselves() -> None:
    assert _messages("timer.send.order.commands") == {"timer.elapsed.v1"}
    assert _messages("mediation.send.mediation.roster") == {"mediation.seat.v1", "mediation.assign.v1"}
    inbox = set(DOC["channels"]["mediation.commands"]["messages"])
    assert _messages("gateway.send.mediation.commands") == inbox - {"timer.elapsed.v1"}
    assert "mediation.seat.v1" not in inbox


def test_whoever_sends_commands_and_may_read_the_answers_is_told_where() -> None:
    answered = {name: made["reply"] for name, made in DOC["operations"].items() if "reply" in made}
    told = {name: _last(reply["channel"]) for name, reply in answered.items()}
    people = [("gateway", name) for name in ("order", "dispute", "mediation")]
    people += [(who, service) for who in ("operator", "casefile") for service in SERVICES]
    assert told == {f"{who}.send.{service}.commands": f"{service}.events" for who, service in people} | {
        "refund.send.payments.commands": "payments.events"
    }


def test_the_servers_are_where_docker_compose_publishes_them() -> None:
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    published = {name: re.findall(r":-(\d+)}", services[name]["ports"][0])[0] for name in ("kafka", "secure-kafka")}
    hosts = {name: server["host"] for name, server in DOC["servers"].items()}
    assert hosts == {"local": f"localhost:{published['kafka']}", "secure": f"localhost:{published['secure-kafka']}"}


def _resolved(part: Any, whole: Json) -> Any:
    """With what it refers to in its place."""
    match part:
        case {"$ref": str(reference)}:
            found: Any = whole
            for step in reference.removeprefix("#/").split("/"):
                found = found[step]
            return _resolved(found, whole)
        case dict():
            return {name: _resolved(value, whole) for name, value in part.items()}
        case list():
            return [_resolved(value, whole) for value in part]
    return part


def _headers(message: str) -> Json:
    """As a tool sees them that knows traits: the message's own over those of its traits."""
    made = DOC["components"]["messages"][message]
    properties: Json = {}
    required: list[str] = []
    for part in [*(_resolved(trait, DOC) for trait in made.get("traits", ())), made]:
        for name, schema in part.get("headers", {}).get("properties", {}).items():
            properties[name] = properties.get(name, {}) | schema
        required += part.get("headers", {}).get("required", [])
    return {"properties": properties, "required": required}


def _example(type_: str) -> Any:
    return DOC["components"]["messages"][type_]["examples"][0]["payload"]


def _messages(operation: str) -> set[str]:
    """That an operation sends or receives: all of its channel, if it names none."""
    made = DOC["operations"][operation]
    every = [{"$ref": f"/{message}"} for message in DOC["channels"][_last(made["channel"])]["messages"]]
    return {_last(message) for message in made.get("messages", every)}


def _last(reference: Json) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _decoded(headers: dict[str, bytes], value: str | None = None) -> object:
    """What the order service makes of a command with these headers."""
    key, value = b"A-1001", value or json.dumps(_example("order.place.v1"))
    place = partition_of(key, PARTITIONS)
    record = Record("order.commands", place, 0, 0, key, value.encode(), list(headers.items()))
    return Decoder(DECIDERS["order"], home_among(PARTITIONS)).decode(record, NOW)


def _assert_fits(value: str, schema: Json) -> None:
    assert schema["type"] == "string"
    assert value == schema.get("const", value)
    assert re.search(schema.get("pattern", ""), value)
    assert schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
