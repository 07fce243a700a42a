"""Calls and answers as records on Kafka: written as an outsider would, with nothing of the services' own runtime."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from deploy.payments.provider import Answer, Provider
from services.refund.gateway import COMMANDS
from shared.kernel.codec import header


def answers(provider: Provider, record: Any) -> Sequence[Answer]:
    """What the provider answers to a record of `payments.commands`; nothing, if that is no call."""
    model = COMMANDS.get(header(record.headers, "ce_type") or "")
    call_id = header(record.headers, "ce_id")
    if model is None or not call_id or not record.value:
        return ()
    try:
        command = model.read(record.value)
    except ValidationError:
        return ()
    return provider.hear(call_id, command)


def written(answer: Answer) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """(key, value, headers) of an answer. Its id is as good as any: readers know answers by what they say."""
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", uuid4().hex),
        ("ce_type", answer.said.type),
        ("ce_source", "payments"),
        ("ce_causationid", answer.call_id),
        ("content-type", "application/json"),
    ]
    value = answer.said.model_dump_json().encode()
    return answer.said.order_id.encode(), value, [(name, text.encode()) for name, text in headers]
