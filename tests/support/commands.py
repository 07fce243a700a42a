"""Commands as people outside write them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Given:
    """One command on its way: what a producer needs."""

    id: str
    topic: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes


def command(
    type_: str, order_id: str, role: str, person: str, data: Mapping[str, Any], id_: str | None = None
) -> Given:
    """With the headers that it must have and no others. `type_`: `order.place.v1`."""
    id_ = id_ or str(uuid4())
    value = {"order_id": order_id, "actor": {"role": role, "id": person}, **data}
    topic = f"{type_.partition('.')[0]}.commands"
    return Given(id_, topic, order_id.encode(), headers(type_, id_), json.dumps(value).encode())


def headers(type_: str, id_: str, **others: str) -> list[tuple[str, bytes]]:
    """What a command must have; `others` are attributes of CloudEvents, such as `source`."""
    attributes = {"id": id_, "type": type_, **others}
    return [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
