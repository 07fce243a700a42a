"""The contract on the bus, written by hand: what others rely on, name by name. The published schemas must agree.

`name?` may be left out or is null. Names are added here, never changed or dropped. An event may have more than its row
says; a command accepts exactly what its row says.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from deploy.publish import models
from schemas.publish import is_public, json_schema
from schemas.topics import PARTITIONS, all_topics
from schemas.wire import Code, Role

COMMANDS = """
order.place                   | P B | buyer seller currency lines payment policy?
order.cancel                  | B   | reason?
order.extend_processing       | S   | days
order.ship                    | S   | carrier tracking_number
order.correct_tracking        | S   | carrier tracking_number
order.report_tracking         | P   | status at
order.request_extension       | B   | days message?
order.extend_protection       | S   | days
order.confirm_receipt         | B   |
order.resume                  | O   |

dispute.open                  | B   | dispute_id lines? received reason description terms evidence?
dispute.modify                | B   | dispute_id reason? description? terms? evidence?
dispute.add_evidence          | B S | dispute_id evidence
dispute.send_message          | B S | dispute_id text
dispute.offer                 | B S | dispute_id terms message?
dispute.reject                | S   | dispute_id message?
dispute.accept_offer          | B S | dispute_id offer_id expect?
dispute.cancel                | B   | dispute_id expect
dispute.escalate              | B   | dispute_id statement?
dispute.ship_return           | B   | dispute_id carrier tracking_number
dispute.report_return         | P   | dispute_id status at
dispute.confirm_return        | S   | dispute_id
dispute.contest_return        | S   | dispute_id reason description evidence
dispute.ship_replacement      | S   | dispute_id carrier tracking_number
dispute.confirm_replacement   | B   | dispute_id
dispute.appeal                | B S | dispute_id explanation evidence?
dispute.waive_appeal          | B S | dispute_id
dispute.resume                | O   |

mediation.register_mediator   | O   | mediator_id capacity? email? locale?
mediation.retire_mediator     | O   | mediator_id
mediation.seat                | P   | dispute_id round mediator_id? wanted except
mediation.assign              | O P | dispute_id mediator_id email? locale?
mediation.ask                 | M   | dispute_id question_id to question
mediation.answer              | B S | dispute_id question_id text evidence?
mediation.offer               | S   | dispute_id terms message?
mediation.accept_offer        | B S | dispute_id offer_id expect?
mediation.decline_offer       | B   | dispute_id offer_id
mediation.decide              | M   | dispute_id refund_minor return_required rationale rules evidence_ids
mediation.cancel              | B   | dispute_id expect
mediation.resume              | O   |

refund.retry                  | O   | settlement_id leg
refund.resolve                | O   | settlement_id leg outcome provider_reference note
refund.resume                 | O   |

timer.schedule                | P   | timer_id name due_at deliver_to
timer.cancel                  | P   | timer_id

payment.refund                | P   | payment_key payment_id currency amount_minor
payment.payout                | P   | payment_key seller_id currency amount_minor
payment.charge                | P   | payment_key seller_id currency amount_minor
payment.query                 | P   | payment_key
"""
"""Type without its `.v1`, roles, fields besides `order_id` and `actor`."""

EVENTS = """
order.placed                  | buyer seller currency total_minor lines payment policy processing_ends_at
order.cancelled               | settlement_id refund_minor cause
order.processing_extended     |
order.shipped                 | disputable_until
order.tracking_corrected      |
order.tracking_reported       |
order.extension_requested     |
order.protection_extended     | disputable_until
order.protection_ending       |
order.receipt_confirmed       | disputable_until
order.lines_frozen            | dispute_id lines claimed_minor buyer seller currency policy disputable_until
order.freeze_refused          | dispute_id code message details?
order.lines_unfrozen          | disputable_until
order.lines_released          | settlement_id lines release_minor cause
order.settled                 | settlement_id dispute_id refund_minor release_minor lines payout_minor chargeback_minor
order.completed               | refund_minor release_minor
order.rejected                | refused command_id code message details?
order.resumed                 |

dispute.requested             | lines? received reason terms received_at
dispute.opened | lines claimed_minor terms offer_id seller_answer_by escalatable_from? escalates_at disputable_until
dispute.open_refused          | code message details?
dispute.modified              |
dispute.evidence_added        |
dispute.message_sent          |
dispute.offer_made            | offer_id by terms message?
dispute.offer_accepted        | offer_id by terms
dispute.escalated             | by cause buyer seller policy claimed_minor offers last_offer_id filed?
dispute.return_awaited        | return_ship_by
dispute.return_shipped        | return_confirm_by
dispute.return_reported       |
dispute.return_received       |
dispute.return_contested      |
dispute.replacement_awaited   | replacement_ship_by
dispute.replacement_shipped   | replacement_confirm_by
dispute.decided               | refund_minor release_minor return_required by appeal_until?
dispute.appealed              | filed?
dispute.appeal_waived         |
dispute.cancelled             | reopenable_until?
dispute.closed                | outcome refund_minor release_minor final
dispute.rejected              | refused command_id code message details?
dispute.resumed               |

mediation.opened              | round mediator?
mediation.assigned            | round mediator
mediation.question_asked      | question_id to question answer_by
mediation.answered            |
mediation.answer_missed       |
mediation.offer_made          | offer_id by terms message?
mediation.offer_accepted      | offer_id by terms
mediation.offer_declined      | visible_to
mediation.decided             | round mediator_id refund_minor return_required rationale rules evidence_ids
mediation.defaulted           | round against cause refund_minor return_required effect
mediation.cancelled           |
mediation.overdue             |
mediation.mediator_registered |
mediation.mediator_retired    |
mediation.rejected            | refused command_id code message details?
mediation.resumed             |

refund.requested              | settlement_id leg amount_minor due_by
refund.submitted              | settlement_id leg amount_minor due_by
refund.failed                 | settlement_id leg amount_minor due_by code retryable
refund.overdue                | settlement_id leg amount_minor due_by
refund.review_needed          | settlement_id leg amount_minor due_by
refund.settled                | settlement_id refund_minor provider_reference
refund.paid_out               | settlement_id amount_minor provider_reference
refund.charged_back           | settlement_id amount_minor provider_reference
refund.rejected               | refused command_id code message details?
refund.resumed                |

notification.sent             |
notification.failed           |

timer.scheduled               |
timer.elapsed                 | timer_id name due_at
timer.cancelled               |
timer.rejected                | refused command_id code message details?

payment.settled               | payment_key currency amount_minor provider_reference
payment.failed                | payment_key code retryable message?
"""
"""Type without its `.v1`, fields that others rely on besides those of `CARRIED`."""

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

CARRIED_WITH_A_SUBJECT = {"order": "status", "dispute": "dispute_id status", "mediation": "dispute_id status"}
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

LINE = "line_id title quantity amount_minor"
FROZEN_LINE = "line_id quantity amount_minor released"
CHOSEN_LINE = "line_id quantity?"

PARTS = {
    "actor": "role id",
    "buyer": "id email locale?",
    "seller": "id email locale?",
    "mediator": "id email? locale?",
    "payment": "payment_id amount_minor",
    "policy": "name version hash",
    "terms": "kind refund_minor",
    "offers": "offer_id by terms",
    "filed": "evidence_id by",
    "evidence": "evidence_id kind uri media_type size_bytes sha256 note? supersedes?",
    "order.place.v1 lines": LINE,
    "order.placed.v1 lines": LINE,
    "order.lines_frozen.v1 lines": FROZEN_LINE,
    "order.settled.v1 lines": "line_id refund_minor release_minor",
    "dispute.open.v1 lines": CHOSEN_LINE,
    "dispute.requested.v1 lines": CHOSEN_LINE,
    "dispute.opened.v1 lines": FROZEN_LINE,
}
"""What a field of this name, or each of its items, is made of."""

WORDS = {
    "dispute.open.v1 actor.role": "buyer seller mediator operator platform",
    "dispute.open.v1 terms.kind": "refund return_and_refund replacement none",
    "dispute.open.v1 evidence.kind": "photo video document screenshot tracking chat",
    "order.cancelled.v1 cause": "buyer not_shipped",
    "order.lines_released.v1 cause": "receipt_confirmed protection_ended dispute_cancelled arbitration_cancelled",
    "dispute.escalated.v1 by": "buyer system",
    "dispute.escalated.v1 cause": "rejected window no_agreement seller_silent return_contested replacement_failed",
    "dispute.decided.v1 by": "mediator default",
    "dispute.closed.v1 outcome": "offer_accepted seller_silent decided buyer_silent cancelled arbitration_cancelled "
    "return_not_shipped replaced",
    "mediation.ask.v1 to": "buyer seller both",
    "mediation.defaulted.v1 against": "buyer seller",
    "mediation.defaulted.v1 cause": "buyer_silent seller_silent mediation_max",
    "mediation.defaulted.v1 effect": "decided cancelled",
    "dispute.cancel.v1 expect": "reopenable released_to_seller",
    "dispute.accept_offer.v1 expect": "reopenable released_to_seller settled_on_offer",
    "refund.retry.v1 leg": "refund payout chargeback",
    "refund.resolve.v1 outcome": "settled",
    "timer.schedule.v1 deliver_to": "order dispute mediation refund notification timer",
    "order.report_tracking.v1 status": "in_transit delivered returned failed",
    "dispute.report_return.v1 status": "in_transit delivered returned failed",
    "dispute.contest_return.v1 reason": "not_received damaged empty wrong_item missing_items",
    "dispute.open.v1 reason": "not_received late wrong_tracking seller_did_not_ship not_as_described wrong_item "
    "wrong_variant damaged defective missing_quantity counterfeit empty_parcel",
}

TOPICS = """
order.commands dispute.commands mediation.commands refund.commands timer.commands payments.commands
order.events dispute.events mediation.events refund.events notification.events timer.events payments.events
order.dead-letters dispute.dead-letters mediation.dead-letters refund.dead-letters notification.dead-letters
timer.dead-letters
"""

CODES = """
key_mismatch idempotency_conflict invalid not_found already_exists not_allowed too_early too_late wrong_state
already_disputed limit_exceeded amount_exceeds offer_superseded consequence_changed
"""

SCHEMAS = {model.type: json_schema(model) for model in models() if is_public(model)}
ROLES = {"B": "buyer", "S": "seller", "M": "mediator", "O": "operator", "P": "platform"}


@dataclass(frozen=True)
class Row:
    service: str
    type: str
    cells: list[str]


def rows(table: str) -> Iterator[Row]:
    for line in table.splitlines():
        if line:
            name, *cells = (cell.strip() for cell in line.split("|"))
            yield Row(name.partition(".")[0].replace("payment", "payments"), f"{name}.v1", cells)


COMMAND_ROWS, EVENT_ROWS = list(rows(COMMANDS)), list(rows(EVENTS))


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


def assert_parts(schema: Mapping[str, Any]) -> None:
    for name in schema["properties"]:
        shape, parts = inside(schema, name), PARTS.get(f"{schema['title']} {name}", PARTS.get(name))
        if shape is not None and parts is not None:
            assert published(shape) == listed(parts), f"{schema['title']}: {name}"


def assert_offers(schema: Mapping[str, Any], row: str) -> None:
    """Readers find every name of the row, and a value wherever the row promises one."""
    offered = published(schema)
    for name, optional in listed(row).items():
        assert name in offered, f"{schema['title']} lacks {name}"
        assert optional or not offered[name], f"{schema['title']}: readers rely on {name}, it is always there"


def test_every_message_is_in_the_contract() -> None:
    assert sorted(SCHEMAS) == sorted(row.type for row in COMMAND_ROWS + EVENT_ROWS)


@pytest.mark.parametrize("row", COMMAND_ROWS, ids=lambda row: row.type)
def test_a_command_accepts_exactly_these_fields_from_these_roles(row: Row) -> None:
    roles, fields = row.cells
    command = SCHEMAS[row.type]
    assert command["x-topic"] == f"{row.service}.commands"
    assert set(command["x-by"]) == {ROLES[letter] for letter in roles.split()}
    assert published(command) == {"order_id": False, "actor": False} | listed(fields)
    assert_parts(command)


@pytest.mark.parametrize("row", EVENT_ROWS, ids=lambda row: row.type)
def test_an_event_has_the_fields_that_others_rely_on(row: Row) -> None:
    (fields,) = row.cells
    event = SCHEMAS[row.type]
    assert event["x-topic"] == f"{row.service}.events"
    assert_offers(event, CARRIED[row.service])
    if row.type not in WITHOUT_A_SUBJECT:
        assert_offers(event, CARRIED_WITH_A_SUBJECT.get(row.service, ""))
    assert_offers(event, fields)
    assert_parts(event)


@pytest.mark.parametrize("place", WORDS)
def test_a_choice_has_exactly_these_words(place: str) -> None:
    type_, path = place.split()
    schema = SCHEMAS[type_]
    name, _, part = path.partition(".")
    field = (inside(schema, name) or {})["properties"][part] if part else schema["properties"][name]
    words = [word for one in (field, *field.get("anyOf", ())) for word in one.get("enum", [one.get("const")]) if word]
    assert words == WORDS[place].split()


def test_only_the_roster_has_a_key_of_its_own() -> None:
    keyed = {type_ for type_, schema in SCHEMAS.items() if schema["x-key"] == "mediators"}
    fixed = {type_ for type_, schema in SCHEMAS.items() if schema["properties"]["order_id"].get("const") == "mediators"}
    assert keyed == {"mediation.seat.v1"}
    assert fixed == {"mediation.register_mediator.v1", "mediation.retire_mediator.v1"}


def test_refusal_codes_in_their_order_of_precedence() -> None:
    assert list(get_args(Code)) == CODES.split()
    assert set(get_args(Role)) == set(ROLES.values())


def test_the_topics() -> None:
    topics = all_topics(prefix="eu-")
    assert {topic.name for topic in topics} == {f"eu-{name}" for name in TOPICS.split()}
    assert {topic.partitions for topic in topics} == {PARTITIONS} == {12}
    assert {topic.config["message.timestamp.type"] for topic in topics} == {"LogAppendTime"}
    kept_for_ever = {topic.config["retention.ms"] for topic in topics if not topic.name.endswith(".commands")}
    assert kept_for_ever == {"-1"}, "events are the state, and whoever reads late reads all of them"
