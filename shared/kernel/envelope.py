"""How a CloudEvent lies in a record: in which form, under which names, and why it cannot be read."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.topics import COMMAND_BYTES_MAX
from schemas.wire import Actor
from shared.kernel.ports import Record

CLOUDEVENTS = b"application/cloudevents"
STRUCTURED, BATCH = CLOUDEVENTS + b"+json", CLOUDEVENTS + b"-batch+json"
NAME_BYTES_MAX = 255
"""Of a record key, a command id, a type or a correlation id."""
REFUSAL_MESSAGE_MAX = 500
SEQUENCE_DIGITS_MAX = 18
"""More is nothing that we wrote, and nothing that a table of ours can hold."""

READ = (
    ("id", "ce_id"),
    ("type", "ce_type"),
    ("source", "ce_source"),
    ("correlationid", "ce_correlationid"),
    ("causationid", "ce_causationid"),
    ("sequence", "ce_sequence"),
)
"""The attributes of a CloudEvent that mean anything to us, and the header each stands in."""
TRACEPARENTS = ("traceparent", "ce_traceparent")
"""The headers that a trace may stand in, in either mode, the first that says something; then the attribute."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a record cannot even be refused: `code: explanation`. As the payload of an input: why this version cannot
    read what one of our own services wrote; handling it raises Unreadable."""

    reason: str


def binary_attributes(headers: Mapping[str, bytes | None]) -> dict[str, str]:
    """Of binary mode: those headers that mean anything to us."""
    return {name: text for name, header_name in READ if (text := name_of(headers.get(header_name)))}


def any_attributes(record: Record) -> dict[str, str]:
    """As far as any can be read, in either mode."""
    headers = dict(record.headers)
    opened = open_envelope(record.value or b"") if form_of(headers) == STRUCTURED else (binary_attributes(headers), b"")
    return {} if isinstance(opened, DeadLetter) else opened[0]


def form_of(headers: Mapping[str, bytes | None]) -> bytes:
    """The content type, without its parameters."""
    return (headers.get("content-type") or b"").partition(b";")[0].strip().lower()


def number_in(text: str) -> int | None:
    """A sequence, as we number what we write."""
    is_ours = text.isascii() and text.isdigit() and len(text) <= SEQUENCE_DIGITS_MAX
    return int(text) if is_ours else None


def canonical(said: object) -> bytes:
    """Any JSON in one spelling: what differs in nothing but spaces, escapes, the order of fields or how a number is
    written says the same."""
    return json.dumps(by_value(said), sort_keys=True, separators=(",", ":")).encode()


def by_value(said: Any) -> Any:
    match said:
        case dict():
            return {name: by_value(part) for name, part in said.items()}
        case list():
            return [by_value(part) for part in said]
        case float() if said.is_integer():
            return int(said)
    return said


def actor_of(said: object) -> Actor | None:
    """Whose command it was that says what it must not."""
    try:
        return Actor.model_validate(said.get("actor") if isinstance(said, dict) else None)
    except ValidationError:
        return None


def name_of(raw: bytes | None) -> str | None:
    """A name from outside: 1 to 255 bytes of UTF-8 without NUL, or None."""
    if not raw or len(raw) > NAME_BYTES_MAX or b"\0" in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def unnamed(what: str, raw: bytes | None) -> DeadLetter:
    """No name stands where one must."""
    code = f"no_{what}"
    try:
        (raw or b"").decode()
    except UnicodeDecodeError:
        code = "not_utf8"
    whose = " (the order_id)" if what == "key" else ""
    return DeadLetter(f"{code}: a record needs a {what}{whose} of 1 to {NAME_BYTES_MAX} bytes of UTF-8 without NUL")


def is_too_long(value: bytes) -> bool:
    """In characters, an escape as what it stands for: the limits of a command's parts are in characters, too, and what
    is within all of them fits, whatever the script and however it is encoded (R75)."""
    return len(value) > COMMAND_BYTES_MAX and _characters(value) > COMMAND_BYTES_MAX


def _characters(value: bytes) -> int:
    return len(value.decode(errors="ignore")) - 5 * value.count(b"\\u")


def too_long(value: bytes) -> str:
    return f"too_long: {_characters(value)} characters, a command has at most {COMMAND_BYTES_MAX}"


def unknown_form(form: bytes) -> DeadLetter:
    if form == BATCH:
        return DeadLetter("batch_mode: a record is one event: send each of a batch by itself")
    return DeadLetter(f"unknown_content_type: of CloudEvents in structured mode {STRUCTURED.decode()} alone is read")


def not_json(value: bytes, error: ValueError, form: bytes = b"") -> DeadLetter:
    if form and b"json" not in form:
        return DeadLetter("unknown_content_type: what is no JSON is not read")
    try:
        value.decode()
    except UnicodeDecodeError as bad:
        return DeadLetter(f"not_utf8: the value from its byte {bad.start} on; JSON is UTF-8")
    return DeadLetter(f"not_json: {error}")


def open_envelope(value: bytes) -> tuple[dict[str, str], bytes] | DeadLetter:
    """Structured mode: the attributes and the JSON of `data`, or the bytes of `data_base64`."""
    try:
        envelope = from_json(value)
    except ValueError as error:
        return not_json(value, error)
    if not isinstance(envelope, dict):
        return DeadLetter("no_envelope: a structured CloudEvent is a JSON object")
    data, packed = envelope.pop("data", None), envelope.pop("data_base64", None)
    if data is not None and packed is not None:
        return DeadLetter("no_envelope: a CloudEvent has data or data_base64, not both")
    attributes = {
        name: text for name, text in envelope.items() if isinstance(text, str) and name_of(text.encode()) is not None
    }
    if packed is None:
        return attributes, to_json(data)
    try:
        return attributes, b64decode(packed, validate=True)
    except (TypeError, ValueError):
        return DeadLetter("not_base64: data_base64 is no text of base64")


def explained(error: ValidationError) -> str:
    """`lines.0.amount_minor: Input should be a valid integer`: what to mend, without repeating what was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" if one["loc"] else one["msg"] for one in first[:3]]
    if len(first) > len(shown):
        shown.append(f"and {len(first) - len(shown)} more")
    return "; ".join(shown)[:REFUSAL_MESSAGE_MAX]
