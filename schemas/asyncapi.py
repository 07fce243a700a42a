"""The contract as one AsyncAPI 3 document: every topic, message, header and principal, for readers and their tools.

`make asyncapi` writes it. Payloads are the published schemas, their parts moved to where AsyncAPI looks for them: a
part of a command is strict, the same part of an event is open, so some stand there twice.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from schemas.example import example
from schemas.mediation.commands import AssignMediator
from schemas.order.commands import Place
from schemas.publish import as_text, is_public, json_schema
from schemas.timer.events import Elapsed
from schemas.topics import COMMAND_BYTES_MAX, COMPACTED, HEADERS_MAX, OUTSIDERS_WRITE, SERVICES, Topic, all_topics
from schemas.wire import MEDIATORS_KEY, AnyMessage

DOCUMENT = Path(__file__).parent / "asyncapi.json"

_READERS = {topic.name: topic.readers for topic in all_topics()}
ELSEWHERE = {"mediation.roster": (AssignMediator.type,)}
"""Types that lie in a topic other than their own, too, besides bells, which ring in every inbox."""
STRUCTURED = "structured"
DEAD_LETTER = "dead-letter"

Json = dict[str, Any]

_DESCRIPTION = f"""\
Disputes between buyers and sellers, and what happens to the held money: six services that talk over Kafka alone.
Rule numbers (R7, C4) are those of `docs/RULES.md`. A prefix may precede all topic names (`RECOURSE_TOPIC_PREFIX`).

**Records** are CloudEvents 1.0 in Kafka's binary mode: the value is the JSON of the payload, attributes are headers.
Commands may also come in structured mode (`content-type: application/cloudevents+json`), which is easier to type;
its `data_base64` is read, too. A trace is taken from the header `traceparent`, else `ce_traceparent`, else the
attribute, in either mode, and goes on with all that follows; `tracestate` does not.

**Keys.** The key is the `order_id`; messages to and about the roster of mediators have the key `{MEDIATORS_KEY}`. The
partition is the one Java's default partitioner chooses (murmur2); librdkafka needs `partitioner=murmur2_random`. A
command that has another key than its data, or lies on another partition than its key's, is refused: `key_mismatch`.

**Answers.** Every command is answered by at least one event whose `ce_causationid` is the command's `ce_id`: what
happened, or `<service>.rejected.v1` with a code; but `timer.schedule.v1`, which is obeyed in silence. `x-act` of a
command's message says which events answer it; after one of those that are `pending` another follows, which is final and
names the command (`command_id`). What a deadline brought about has `<service>/<what it belongs to>/<deadline>` there.
Whoever needs one act done before another on a different topic waits for its event: there is no order between topics.

**Idempotency.** `ce_id` is a command's idempotency key, per order, service and actor. The same id with the same type
and data is the same command, however it is spelt: one effect, one answer; who sends it again is told by
`<service>.repeated.v1` which answer that was. With another body it is refused: `idempotency_conflict`.

**Repeats.** A reader may meet a record of ours again, with the same `ce_id`, which names one event on all topics: on
one topic and partition, whatever is not above the highest `ce_sequence` seen of its `ce_source`.

**Limits.** A command has at most {COMMAND_BYTES_MAX:,} characters (an escape is one), a record at most {HEADERS_MAX:,}
headers. In one order a service obeys 10,000 commands (unless it is told otherwise) of the buyer, the seller, mediators
and the platform each; what would be obeyed then is refused as `limit_exceeded`. Unknown
fields are refused in commands and may appear in events; money is integers in minor units, instants are RFC 3339 in UTC
with milliseconds; there are no floats. Not JSON, or without key, `ce_id` or `ce_type`: it lands on
`<service>.dead-letters` with its reason. Readable but wrong, unknown or too long: it is refused as `invalid` (too long
in structured mode, where only the value says what it is: a dead letter).

**People.** How a person is reached is no event: `people` holds what is so by now, under his id, and an empty record
erases him. Its records need no headers, and are not read in structured mode. One that cannot be read changes nothing:
a dead letter says where it lay and why, and repeats neither its key nor its value. Which contacts notification has by
then is what it sends to; no other topic, table or log of ours ever has them.

**Versions.** A type ends in its version. Within a version fields are added that commands may leave out, choices and
limits grow wider, and nothing goes: a reader must expect fields and words that he does not know.
"""

PRINCIPALS = {
    "order": "judges the held money: what may be disputed, how it is split",
    "dispute": "judges the quarrel between buyer and seller",
    "mediation": "judges the case before a mediator; keeps the roster of mediators",
    "refund": "moves money and keeps the ledger",
    "notification": "tells people what happened",
    "timer": "keeps instants and rings them",
    "casefile": "shows what is said, and hands on the commands of those who are signed in there",
    "gateway": "authenticates people, gives their commands and vouches for `actor`",
    "payments": "the platform's payment service",
    "operator": "people with Kafka tools; may read everything",
}
"""Who has an identity on the bus, and what for."""


def _text(description: str, **more: Any) -> Json:
    return {"type": "string", "description": description} | more


_NAME = {"minLength": 1, "maxLength": 255}
_TYPE = _text("what it is: wire name and version", **_NAME)
_TRACEPARENT = {"traceparent": _text("W3C Trace Context, handed on to all that it leads to", **_NAME)}

FROM_SERVICES = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": _text("derived from the cause: published again, it has the same id"),
    "ce_type": _TYPE,
    "ce_source": _text("`recourse/<service>/<shard>`"),
    "ce_time": _text("broker's append time of the input that caused it, RFC 3339 UTC", format="date-time"),
    "ce_subject": _text("the `order_id`"),
    "ce_correlationid": _text(
        "of what brought it about; of a deadline that of what set it, so it is the whole chain's"
    ),
    "ce_causationid": _text("`ce_id` of the command or event it follows from, or the name of a deadline"),
    "ce_dataschema": _text("names the schema of the payload"),
    "ce_sequence": _text(
        "of the source, over all its topics, without gaps; in order on each topic and partition",
        pattern="^[0-9]{1,18}$",
    ),
    "content-type": {"type": "string", "const": "application/json"},
}
"""Headers of what our services write: all of them, always; and `traceparent` if the input had it."""

FROM_OUTSIDE = {
    "ce_id": _text("chosen by the caller; a command's idempotency key", **_NAME),
    "ce_type": _TYPE,
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_source": _text("for the caller's own use"),
    "ce_time": _text("for the caller's own use: what counts is the broker's append time", format="date-time"),
    "ce_subject": _text("for the caller's own use: what counts is the key"),
    "ce_correlationid": _text("handed on to all that it leads to; without it, the `ce_id`", **_NAME),
    "ce_causationid": _text("`ce_id` of the call that it answers: a failure counts only for the one it names", **_NAME),
    "content-type": _text("`application/json`, also when absent"),
}
MUST_GIVE = ("ce_id", "ce_type")

DEAD_LETTERS = {
    "kafka_dlt-original-topic": _text("where the original lay"),
    "kafka_dlt-original-partition": _text("and on which partition", pattern="^[0-9]+$"),
    "kafka_dlt-original-offset": _text("and at which offset", pattern="^[0-9]+$"),
    "kafka_dlt-original-timestamp": _text("its append time, milliseconds since 1970", pattern="^-?[0-9]+$"),
    "x-dead-letter-reason": _text("`code: explanation`, for people"),
    "x-dead-letter-source": _text("who could not read it: `recourse/<service>/<shard>`"),
    "x-dead-letter-sequence": _text("as `ce_sequence`, of that source", pattern="^[0-9]{1,18}$"),
}
"""Headers added to the original's own."""
_CUT_FROM = _text("its size in bytes, if it was too large to be kept whole", pattern="^[0-9]+$")


def document(
    models: Iterable[AnyMessage], subscriptions: Mapping[str, Collection[str]], acts: Iterable[Mapping[str, Any]]
) -> Json:
    """`models`: the messages of the system; private ones are left out. `subscriptions`: by service, the
    types of the events of others that it reads. `acts`: the rows of schemas/acts.json."""
    rows = {act["type"]: {name: value for name, value in act.items() if name != "type"} for act in acts}
    public = [model for model in models if is_public(model)]
    topics = all_topics()
    by_topic = {topic.name: _messages_on(topic, public) for topic in topics}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:recourse",
        "info": {
            "title": "Recourse",
            "version": "1",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": name, "description": what} for name, what in PRINCIPALS.items()],
        },
        "defaultContentType": "application/json",
        "servers": _SERVERS,
        "channels": {topic.name: _channel(topic, by_topic[topic.name]) for topic in topics},
        "operations": {
            f"{principal}.{action}.{topic.name}": _operation(
                principal, action, topic, by_topic[topic.name], subscriptions
            )
            for topic in topics
            for action, principals in (("send", topic.writers), ("receive", topic.readers))
            for principal in sorted(principals)
        },
        "components": {
            "messages": {model.type: _message(model, rows.get(model.type)) for model in public} | _OTHER_MESSAGES,
            "messageTraits": _TRAITS,
            "schemas": _schemas(public),
            "securitySchemes": {
                "scram": {"type": "scramSha512", "description": "a name and password for each principal"}
            },
        },
    }


def write(content: Json) -> Path:
    DOCUMENT.write_text(as_text(content), "utf-8")
    return DOCUMENT


_SERVERS = {
    "local": {
        "host": "localhost:9092",
        "protocol": "kafka",
        "description": "`make up`: everybody may do everything",
    },
    "secure": {
        "host": "localhost:9094",
        "protocol": "kafka-secure",
        "description": "`docker compose --profile secure up`: each principal may do its operations and no more",
        "security": [{"$ref": "#/components/securitySchemes/scram"}],
    },
}


def _messages_on(topic: Topic, public: Iterable[AnyMessage]) -> list[str]:
    """Keys of its messages in the components."""
    if topic.name.endswith(".dead-letters"):
        return [DEAD_LETTER]
    types = [model.type for model in public if model.topic == topic.name] + [*ELSEWHERE.get(topic.name, ())]
    if "timer" in topic.writers and topic.name.endswith(".commands"):
        types.append(Elapsed.type)
    return [*types, STRUCTURED] if topic.name in OUTSIDERS_WRITE - COMPACTED else types


def _channel(topic: Topic, messages: Iterable[str]) -> Json:
    kind = topic.name.rpartition(".")[2]
    holds = {
        "commands": "Commands",
        "events": "Facts and refusals",
        "dead-letters": "What could not be read",
        "roster": "What cases and the roster of mediators tell each other",
        "people": "How each person is reached by now; a record without a value erases him",
    }[kind]
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"{holds}. Written by {_and(topic.writers)}, read by {_and(topic.readers)}.",
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {name: _setting(name, value) for name, value in topic.config.items()},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _setting(name: str, value: str) -> Any:
    """Typed as the binding wants it."""
    if name == "cleanup.policy":
        return value.split(",")
    return int(value) if name.endswith((".ms", ".bytes")) else value


def _operation(
    principal: str, action: str, topic: Topic, messages: Collection[str], subscriptions: Mapping[str, Collection[str]]
) -> Json:
    """Names its messages only where they are not all of the channel's."""
    operation: Json = {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "title": f"{principal} {action}s {'to' if action == 'send' else 'from'} {topic.name}",
        "tags": [{"name": principal}],
    }
    if action == "send":
        chosen = [one for one in messages if _sends(principal, one, topic)]
    else:
        whole = principal not in SERVICES or topic.name.startswith(f"{principal}.")
        chosen = [one for one in messages if whole or one in {*subscriptions[principal], STRUCTURED}]
    if chosen != messages:
        operation["messages"] = [{"$ref": f"#/channels/{topic.name}/messages/{one}"} for one in chosen]
    answers = topic.name.replace(".commands", ".events")
    if action == "send" and answers != topic.name and principal in _READERS[answers]:
        operation["reply"] = {"channel": {"$ref": f"#/channels/{answers}"}}
    return operation


def _sends(principal: str, message: str, topic: Topic) -> bool:
    """Inboxes have several writers, each with words of his own; on other topics every writer may say everything."""
    if topic.name not in OUTSIDERS_WRITE:
        return True
    return (message == Elapsed.type) == (principal == "timer")


def _message(model: AnyMessage, act: Mapping[str, Any] | None) -> Json:
    published = json_schema(model)
    subject, name, _ = model.type.split(".")
    outside, bare = model.topic in OUTSIDERS_WRITE, model.topic in COMPACTED
    own_headers = {} if bare else {"ce_type": {"const": model.type}}
    if not outside:
        own_headers["ce_dataschema"] = {"const": published["$id"]}
    origin = "from-outside" if outside else "from-services"
    message: Json = {"name": model.type, "title": f"{subject}: {name.replace('_', ' ')}"}
    if "description" in published:
        message["summary"] = published["description"]
    if "x-by" in published:
        message["description"] = f"The actor is a {' or '.join(published['x-by'])}."
    if act is not None:
        message["x-act"] = act
    return message | {
        "contentType": "application/json",
        "traits": [
            *([] if bare else [{"$ref": f"#/components/messageTraits/{origin}"}]),
            {"$ref": f"#/components/messageTraits/key-{published['x-key']}"},
        ],
        "headers": {"type": "object", "properties": own_headers},
        "payload": {"$ref": f"#/components/schemas/{model.type}"},
        "examples": [{"payload": example(model)}],
    }


_TRAITS: Json = {
    "from-outside": {
        "headers": {"type": "object", "properties": FROM_OUTSIDE | _TRACEPARENT, "required": list(MUST_GIVE)},
    },
    "from-services": {
        "headers": {"type": "object", "properties": FROM_SERVICES | _TRACEPARENT, "required": list(FROM_SERVICES)},
        "correlationId": {
            "location": "$message.header#/ce_correlationid",
            "description": "what happened because of the same first command",
        },
    },
    "key-order_id": {"bindings": {"kafka": {"key": _text("the payload's `order_id`", **_NAME)}}},
    "key-person_id": {"bindings": {"kafka": {"key": _text("the payload's `person_id`", **_NAME)}}},
    f"key-{MEDIATORS_KEY}": {"bindings": {"kafka": {"key": {"type": "string", "const": MEDIATORS_KEY}}}},
}

_OTHER_MESSAGES: Json = {
    STRUCTURED: {
        "name": STRUCTURED,
        "title": "any of these in structured mode",
        "summary": "The CloudEvent as one JSON object: its attributes, and as `data` what would be the payload.",
        "contentType": "application/cloudevents+json",
        "headers": {
            "type": "object",
            "properties": {"content-type": _text("begins so", pattern="^application/cloudevents\\+json")},
            "required": ["content-type"],
        },
        "payload": {
            "type": "object",
            "properties": {
                name.removeprefix("ce_"): schema for name, schema in FROM_OUTSIDE.items() if name != "content-type"
            }
            | _TRACEPARENT
            | {"data": {"type": "object", "description": "as the schema of this type says"}},
            "required": [*(name.removeprefix("ce_") for name in MUST_GIVE), "data"],
        },
        "bindings": {"kafka": {"key": _text("the key of the message in `data`", **_NAME)}},
        "examples": [{"payload": {"id": "place-A-1001", "type": Place.type, "data": example(Place)}}],
    },
    DEAD_LETTER: {
        "name": DEAD_LETTER,
        "title": "a record that could not be read or handled",
        "summary": "The original record with its key, value and headers, and besides them why it is here. Of what lay "
        "on `people` only where and why.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": DEAD_LETTERS | {"x-dead-letter-cut-from": _CUT_FROM},
            "required": list(DEAD_LETTERS),
        },
        "payload": {"description": "the original's bytes, whatever they are"},
        "bindings": {"kafka": {"key": {"description": "the original's bytes, whatever they are"}}},
    },
}


def _schemas(public: Iterable[AnyMessage]) -> Json:
    schemas: Json = {}
    for model in public:
        published = json_schema(model)
        kind = published["x-kind"]
        for name, part in published.pop("$defs", {}).items():
            schemas[f"{kind}.{name}"] = _moved(part, kind)
        # AsyncAPI has a dialect of its own, and with an id of its own a schema's references would lead elsewhere.
        del published["$schema"], published["$id"]
        schemas[model.type] = _moved(published, kind)
    return dict(sorted(schemas.items()))


def _moved(schema: Any, kind: str) -> Any:
    """The same schema, with its references to where parts of this kind stand."""
    match schema:
        case dict():
            return {name: _moved(part, kind) for name, part in schema.items()}
        case list():
            return [_moved(part, kind) for part in schema]
        case str() if schema.startswith("#/$defs/"):
            return schema.replace("#/$defs/", f"#/components/schemas/{kind}.")
    return schema


def _and(names: Collection[str]) -> str:
    *first, last = sorted(names)
    return f"{', '.join(first)} and {last}" if first else last
