"""What is sent to every inbox that should not be, and what comes of it.

Here stands what no JSON Schema says: bytes, headers, keys, places, sizes, envelopes, and who may say what of whom.
What a schema says is tried of every command in test_hostile_schemas.py.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.stories.claims import BROKEN
from deploy.stories.dialogue import refund
from schemas.topics import COMMAND_BYTES_MAX, HEADERS_MAX
from schemas.wire import MEDIATORS_KEY
from tests.faults.hostile import (
    NAME,
    Inbox,
    Json,
    Twist,
    act,
    also,
    at,
    bell,
    both,
    compressed,
    data,
    flood,
    header,
    key,
    padded,
    schedule,
    structured,
    value,
    without,
    wrong_partition,
)

REPLIES = "hostile-replies"
WAITING, DISPUTED, MEDIATED, REFUNDED = "world-1", "world-2", "world-3", "world-4"
PERSON = {"id": "somebody", "email": "somebody@example.com"}
OTHER = {"id": "somebody-else", "email": "somebody-else@example.com"}

ORDER = Inbox(
    "order.commands",
    "order.place.v1",
    {
        "buyer": PERSON,
        "seller": OTHER,
        "currency": "EUR",
        "lines": [{"line_id": "l1", "title": "Lamp", "quantity": 1, "amount_minor": 1_000}],
        "payment": {"payment_id": "p1", "amount_minor": 1_000},
    },
    answer="order.placed",
    text=("lines", 0, "title"),
    minor=("lines", 0, "amount_minor"),
)
DISPUTE = Inbox(
    "dispute.commands",
    "dispute.open.v1",
    {"dispute_id": "d1", "terms": refund(1_000), **BROKEN},
    answer="dispute.requested",
    text=("description",),
    minor=("terms", "refund_minor"),
    actor={"role": "buyer", "id": "somebody"},
)
MEDIATION = Inbox(
    "mediation.commands",
    "mediation.decide.v1",
    {
        "dispute_id": "d1",
        "refund_minor": 1_000,
        "return_required": False,
        "rationale": "So be it.",
        "rules": [],
        "evidence_ids": [],
    },
    answer="refusal not_found",
    text=("rationale",),
    minor=("refund_minor",),
    actor={"role": "mediator", "id": "mara"},
)
REFUND = Inbox(
    "refund.commands",
    "refund.resolve.v1",
    {"settlement_id": "s1", "leg": "refund", "outcome": "settled", "provider_reference": "r1", "note": "By hand."},
    answer="refusal not_found",
    text=("note",),
    actor={"role": "operator", "id": "olga"},
)
TIMER = Inbox(
    "timer.commands",
    "timer.cancel.v1",
    {"timer_id": "order/x"},
    answer="timer.cancelled",
    text=("timer_id",),
)
PAYMENTS = Inbox(
    "payments.events",
    "payment.settled.v1",
    {"payment_key": f"{REFUNDED}:1/refund", "currency": "EUR", "amount_minor": 1_000, "provider_reference": "forged"},
    answer="nothing",
    text=("provider_reference",),
)
"""No inbox, but outsiders write it: the payment service."""
INBOXES = (ORDER, DISPUTE, MEDIATION, REFUND, TIMER)
OUTSIDERS = INBOXES[:4]

BEYOND_THE_CALENDAR = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "1970-01-01T00:00:00+14:00",
    "9998-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59-14:00",
)
NOISE = random.Random(1).randbytes(512)

# What is wrong | how it is made of a good command | what comes of it. "As good": what the good command gets; "not
# taken": the broker refuses it.
EVERYWHERE: list[tuple[str, Twist, str]] = [
    ("nothing", both(), "as good"),
    # -- the value
    ("random bytes", value(NOISE), "dead letter not_utf8"),
    ("an empty value", value(b""), "dead letter no_value"),
    ("a tombstone", value(None), "dead letter no_value"),
    ("spaces only", value(b"   "), "dead letter not_json"),
    ("half a JSON document", value(b'{"order_id": "o'), "dead letter not_json"),
    ("two JSON documents", value(b"{}{}"), "dead letter not_json"),
    ("a character cut in half", value(b'{"order_id": "\xc3"}'), "dead letter not_utf8"),
    ("half a surrogate pair", value(rb'{"order_id": "\ud800"}'), "dead letter not_json"),
    ("UTF-16", value('{"order_id": "x"}'.encode("utf-16")), "dead letter not_utf8"),
    ("30,000 levels deep", value(b'{"order_id":' + b"[" * 30_000 + b"]" * 30_000 + b"}"), "dead letter not_json"),
    ("150 levels deep", also('"x": ' + "[" * 150 + "]" * 150), "refusal invalid"),
    ("one field twice", also('"order_id": "other", "actor": null'), "refusal invalid"),
    ("256 KiB exactly", padded(COMMAND_BYTES_MAX), "as good"),
    ("a byte more", padded(COMMAND_BYTES_MAX + 1), "refusal invalid"),
    ("a megabyte", padded(1_000_000), "refusal invalid"),
    # -- the key and the place
    ("no key", key(None), "dead letter no_key"),
    ("an empty key", key(b""), "dead letter no_key"),
    ("a key of 256 bytes", key(b"k" * 256), "dead letter no_key"),
    ("a key of 500,000 bytes", key(b"k" * 500_000), "dead letter no_key"),
    ("a key that is not UTF-8", key(b"\xff\xfe"), "dead letter not_utf8"),
    ("a key with NUL", key(b"a\0b"), "dead letter no_key"),
    ("another order's key", key(b"another"), "refusal key_mismatch"),
    ("a key that is no id", key(b"no id at all!"), "refusal key_mismatch"),
    ("a key of 255 bytes", key(b"k" * 255), "refusal key_mismatch"),
    ("the wrong partition", wrong_partition, "refusal key_mismatch"),
    ("the wrong partition, and not JSON", both(wrong_partition, value(NOISE)), "dead letter not_utf8"),
    # -- the headers
    ("no ce_id", without("ce_id"), "dead letter no_ce_id"),
    ("no ce_type", without("ce_type"), "dead letter no_ce_type"),
    ("an empty ce_id", header("ce_id", b""), "dead letter no_ce_id"),
    ("a null ce_id", header("ce_id", None), "dead letter no_ce_id"),
    ("a ce_id of 256 bytes", header("ce_id", b"i" * 256), "dead letter no_ce_id"),
    ("a ce_id that is not UTF-8", header("ce_id", b"\xff"), "dead letter not_utf8"),
    ("a ce_id with NUL", header("ce_id", b"a\0b"), "dead letter no_ce_id"),
    ("an unknown type", header("ce_type", b"order.teleport.v1"), "refusal invalid"),
    ("an event's type", header("ce_type", b"order.placed.v1"), "refusal invalid"),
    ("a private event's type", header("ce_type", b"alarm.rung.v1"), "refusal invalid"),
    ("an unknown type, and not JSON", both(header("ce_type", b"nonsense"), value(NOISE)), "dead letter not_utf8"),
    ("many headers", flood(HEADERS_MAX - 10), "as good"),
    ("a flood of headers", flood(90_000), "dead letter too_many_headers"),
    ("a flood of headers, and not JSON", both(flood(90_000), value(NOISE)), "dead letter too_many_headers"),
    ("500,000 bytes of headers", flood(50, 10_000), "as good"),
    ("500,000 bytes of headers, and not JSON", both(flood(50, 10_000), value(NOISE)), "dead letter not_utf8"),
    ("header values that are not UTF-8", both(header("x", NOISE), header("traceparent", NOISE)), "as good"),
    ("a null header value", header("x", None), "as good"),
    ("a null content type", header("content-type", None), "as good"),
    ("a null header value, and not JSON", both(header("x", None), value(NOISE)), "dead letter not_utf8"),
    ("a header name that is not UTF-8", header(NAME, b"x"), "as good"),
    ("a header name that is not UTF-8, and not JSON", both(header(NAME, b"x"), value(NOISE)), "dead letter not_utf8"),
    ("a place to reply to", both(header("reply_to", REPLIES.encode()), header("correlation_id", b"c")), "as good"),
    ("a correlation id of NUL", header("ce_correlationid", b"\0"), "as good"),
    ("a sequence of 40 digits", both(header("ce_source", b"elsewhere"), header("ce_sequence", b"9" * 40)), "as good"),
    ("a sequence that is none", both(header("ce_source", b"elsewhere"), header("ce_sequence", b"-1")), "as good"),
    # -- a bell that nobody asked for
    ("a forged bell", bell(), "nothing"),
    ("a bell of nonsense", both(bell(), value(NOISE)), "nothing"),
    ("a bell on the wrong partition", both(bell(), wrong_partition), "nothing"),
    ("a bell without a value", both(bell(), value(None)), "dead letter no_value"),
    # -- how batches are packed
    ("gzip", compressed("gzip"), "as good"),
    ("snappy", compressed("snappy"), "as good"),
    ("lz4", compressed("lz4"), "as good"),
    ("zstd", compressed("zstd"), "as good"),
    ("10 MB in a small batch", both(padded(10_000_000), compressed("gzip")), "not taken"),
    ("10 MB of headers in a small batch", both(flood(10, 1_000_000), compressed("zstd")), "not taken"),
    # -- structured mode
    ("structured", structured(), "as good"),
    ("structured, with a character set", structured("Application/CloudEvents+JSON; charset=UTF-8"), "as good"),
    ("structured, without data", structured(data=...), "refusal invalid"),
    ("structured, an empty object as data_base64", structured(data=..., data_base64="e30="), "refusal invalid"),
    ("structured, data_base64 that is none", structured(data=..., data_base64="e30"), "dead letter not_base64"),
    ("structured, data and data_base64", structured(data_base64="e30="), "dead letter no_envelope"),
    ("structured, data as text", structured(data="{}"), "refusal invalid"),
    ("structured, without an id", structured(id=...), "dead letter no_ce_id"),
    ("structured, without a type", structured(type=...), "dead letter no_ce_type"),
    ("structured, a number for an id", structured(id=7), "dead letter no_ce_id"),
    ("structured, an id of 256 characters", structured(id="i" * 256), "dead letter no_ce_id"),
    ("structured, an unknown type", structured(type="order.teleport.v1"), "refusal invalid"),
    ("structured, not an object", both(structured(), value(b"[]")), "dead letter no_envelope"),
    ("structured, not JSON", both(structured(), value(NOISE)), "dead letter not_utf8"),
    ("structured, empty", both(structured(), value(b"")), "dead letter no_value"),
    ("structured, 256 KiB and a byte", both(structured(), padded(COMMAND_BYTES_MAX + 1)), "dead letter too_long"),
    ("structured, as Avro", structured("application/cloudevents+avro"), "dead letter unknown_content_type"),
    (
        "XML, and said to be",
        both(header("content-type", b"text/xml"), value(b"<a/>")),
        "dead letter unknown_content_type",
    ),
    ("JSON, and said to be text", header("content-type", b"text/plain"), "as good"),
    ("a batch of structured events", structured("application/cloudevents-batch+json"), "dead letter batch_mode"),
]
TEXTS: list[tuple[str, Any, str]] = [
    ("right to left, and nothing to see", "\u202egnp.exe\u2066\u200f\u05d0\u200b\u200d\ufeff\u2060\u00ad", "as good"),
    ("a header of a mail", "Lamp\r\nBcc: all@example.com\r\n\r\n<b>Pay here</b>", "as good"),
    ("HTML", "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;b&gt;", "as good"),
    ("a template", "{{ 7 * 7 }}{% raw %}${7*7}%s", "as good"),
    ("every other control character", "".join(map(chr, range(1, 32))) + "\x7f\u2028\ufeff\u202e", "as good"),
]
AMOUNTS: list[tuple[str, Any, str]] = [
    ("a float that is whole", 10.0, "refusal invalid"),
    ("an exponent", Json("1e3"), "refusal invalid"),
    ("NaN", Json("NaN"), "refusal invalid"),
    ("Infinity", Json("Infinity"), "refusal invalid"),
    ("an integer of 100 digits", 10**100, "refusal invalid"),
    ("an integer of 5,000 digits", Json("1" * 5_000), "dead letter not_json"),
]
SOMEBODY_ELSE: list[tuple[Inbox, str, Twist, str]] = [
    *(
        (
            ORDER,
            f"a line break in the {name}",
            at(("buyer", name), f"{good}\r\nBcc: all@example.com"),
            ORDER.answer if name == "locale" else "refusal invalid",  # an unknown one falls back (R75)
        )
        for name, good in (("email", "a@example.com"), ("locale", "en"), ("id", "somebody"))
    ),
    (ORDER, "a buyer resumes", act("order.resume", WAITING, "buyer", f"buyer-{WAITING}"), "refusal not_allowed"),
    (ORDER, "nothing to resume", act("order.resume", WAITING, "operator", "olga"), "refusal wrong_state"),
    (ORDER, "another buyer", act("order.cancel", WAITING, "buyer", "somebody"), "refusal not_allowed"),
    (ORDER, "the platform", act("order.cancel", WAITING, "platform", "checkout"), "refusal not_allowed"),
    (ORDER, "the seller says not why", act("order.cancel", WAITING, "seller", f"seller-{WAITING}"), "refusal invalid"),
    (ORDER, "another seller", act("order.cancel", WAITING, "seller", "s", reason="So"), "refusal not_allowed"),
    (
        ORDER,
        "the buyer ships",
        act("order.ship", WAITING, "buyer", f"buyer-{WAITING}", carrier="c", tracking_number="t"),
        "refusal not_allowed",
    ),
    (ORDER, "the roster's key", act("order.confirm_receipt", MEDIATORS_KEY, "buyer", "b"), "refusal not_found"),
    *(
        (
            ORDER,
            f"tracked {when}",
            act("order.report_tracking", WAITING, "platform", "p", status="delivered", at=when),
            "refusal invalid",
        )
        for when in BEYOND_THE_CALENDAR
    ),
    (
        DISPUTE,
        "another buyer",
        act("dispute.cancel", DISPUTED, "buyer", "b", dispute_id="d1", expect="reopenable"),
        "refusal not_allowed",
    ),
    (
        DISPUTE,
        "the seller cancels",
        act("dispute.cancel", DISPUTED, "seller", f"seller-{DISPUTED}", dispute_id="d1", expect="reopenable"),
        "refusal not_allowed",
    ),
    (
        DISPUTE,
        "a mediator offers",
        act("dispute.offer", DISPUTED, "mediator", "mara", dispute_id="d1", terms=refund(1)),
        "refusal not_allowed",
    ),
    (
        DISPUTE,
        "another dispute",
        act("dispute.cancel", DISPUTED, "buyer", f"buyer-{DISPUTED}", dispute_id="d9", expect="reopenable"),
        "refusal not_found",
    ),
    *(
        (
            MEDIATION,
            f"{role} {person} decides",
            act("mediation.decide", MEDIATED, role, person, **MEDIATION.data),
            "refusal not_allowed",
        )
        for role, person in (("mediator", "nobody"), ("seller", f"seller-{MEDIATED}"), ("operator", "olga"))
    ),
    *(
        (
            MEDIATION,
            f"a {role} registers",
            act("mediation.register_mediator", MEDIATORS_KEY, role, "x", mediator_id="x"),
            "refusal not_allowed",
        )
        for role in ("buyer", "mediator", "platform")
    ),
    (
        MEDIATION,
        "registered under an order",
        act("mediation.register_mediator", MEDIATED, "operator", "olga", mediator_id="x"),
        "refusal invalid",
    ),
    *(
        (
            MEDIATION,
            f"a {role} speaks of a seat as cases do",
            both(
                act("mediation.seat", MEDIATED, role, "x", dispute_id="d1", round=1, wanted=True, **{"except": []}),
                key(MEDIATORS_KEY.encode()),
            ),
            "refusal invalid",
        )
        for role in ("buyer", "operator", "platform")
    ),
    (
        MEDIATION,
        "a buyer assigns",
        act("mediation.assign", MEDIATED, "buyer", f"buyer-{MEDIATED}", dispute_id="d1", mediator_id="noel"),
        "refusal not_allowed",
    ),
    (
        MEDIATION,
        "an assignment in the roster's name",
        act("mediation.assign", MEDIATED, "platform", "mediation", dispute_id="d1", mediator_id="noel"),
        "refusal not_allowed",
    ),
    *(
        (
            REFUND,
            f"a {role} resolves",
            act("refund.resolve", REFUNDED, role, "x", **{**REFUND.data, "settlement_id": f"{REFUNDED}:1"}),
            answer,
        )
        for role, answer in (("buyer", "refusal not_allowed"), ("operator", "refusal wrong_state"))
    ),
    (PAYMENTS, "a payment of another order", key(WAITING.encode()), "refund.review_needed"),
    (PAYMENTS, "a payment of nothing", data(payment_key="no/such"), "refund.review_needed"),
    (PAYMENTS, "a call among the answers", header("ce_type", b"payment.payout.v1"), "nothing"),
    (PAYMENTS, "an answer of nonsense", value(NOISE), "dead letter unreadable_event"),
    (PAYMENTS, "an answer of less than nothing", data(amount_minor=-1), "dead letter unreadable_event"),
    (TIMER, "nothing of a schedule", schedule(), "nothing"),
    (TIMER, "a buyer schedules", schedule(actor={"role": "buyer", "id": "x"}), "refusal not_allowed"),
    (TIMER, "for a service without an inbox", schedule(deliver_to="notification"), "refusal invalid"),
    (TIMER, "in the year 1", schedule(due_at="0001-01-01T00:00:00.000Z"), "refusal invalid"),
]


@dataclass(frozen=True)
class Row:
    """One line of the tables, for one inbox."""

    inbox: Inbox
    wrong: str
    twist: Twist
    expected: str

    @property
    def name(self) -> str:
        return f"{self.inbox.topic}: {self.wrong}"


def rows() -> Iterator[Row]:
    for inbox in INBOXES:
        for wrong, twist, expected in EVERYWHERE:
            yield Row(inbox, wrong, twist, inbox.answer if expected == "as good" else expected)
        for wrong, new, expected in TEXTS:
            yield Row(inbox, wrong, at(inbox.text, new), inbox.answer if expected == "as good" else expected)
        for wrong, new, expected in AMOUNTS if inbox.minor else ():
            yield Row(inbox, wrong, at(inbox.minor or (), new), expected)
    for inbox, wrong, twist, expected in SOMEBODY_ELSE:
        yield Row(inbox, wrong, twist, expected)
    for inbox in OUTSIDERS:
        forged = both(header("ce_source", b"recourse/order/0"), header("ce_sequence", b"999999999"))
        yield Row(inbox, "the name and sequence of a service", forged, inbox.answer)


ROWS = {row.name: row for row in rows()}
