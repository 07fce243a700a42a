"""Commands as a gateway sends them; the plain load: many orders, each placed, shipped and tracked, overlapping."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

OVERLAP = 500
"""So many other orders are placed between one order's commands."""


@dataclass(frozen=True, slots=True)
class Given:
    """One command on its way: what the producer needs."""

    id: str
    topic: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes


def commands(orders: int, name: str) -> Iterator[Given]:
    """Three for each of `orders` orders, called `name`-0, `name`-1 … Each has exactly one event in answer, on
    order.events."""
    for i in range(orders + 2 * OVERLAP):
        if i < orders:
            yield given("order.place.v1", f"{name}-{i}", "platform", "checkout", basket(f"{name}-{i}", i))
        if 0 <= (shipped := i - OVERLAP) < orders:
            parcel = {"carrier": "Cainiao", "tracking_number": f"LP00{shipped:012d}CN"}
            yield given("order.ship.v1", f"{name}-{shipped}", "seller", f"seller-{shipped % 97}", parcel)
        if 0 <= (tracked := i - 2 * OVERLAP) < orders:
            news = {"status": "in_transit", "at": "2026-01-31T12:00:00.000Z"}
            yield given("order.report_tracking.v1", f"{name}-{tracked}", "platform", "tracking", news)


def given(type_: str, order_id: str, role: str, person: str, data: Mapping[str, Any]) -> Given:
    id_ = str(uuid4())
    headers = {
        "ce_specversion": "1.0",
        "ce_id": id_,
        "ce_type": type_,
        "ce_source": "gateway/web",
        "ce_time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "ce_subject": order_id,
        "ce_correlationid": order_id,
        "traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-01",
        "content-type": "application/json",
    }
    value = {"order_id": order_id, "actor": {"role": role, "id": person}, **data}
    raw = [(name, text.encode()) for name, text in headers.items()]
    return Given(id_, f"{type_.partition('.')[0]}.commands", order_id.encode(), raw, json.dumps(value).encode())


def basket(order_id: str, number: int) -> dict[str, Any]:
    lines = [("1", "Desk lamp, brass", 2, 4_900), ("2", "USB-C cable 2 m", 1, 799), ("3", "Phone case", 1, 1_250)]
    chosen = lines[: 1 + number % len(lines)]
    return {
        "buyer": {"id": f"buyer-{number}", "email": f"buyer-{number}@example.com", "locale": "en"},
        "seller": {"id": f"seller-{number % 97}", "email": f"seller-{number % 97}@example.com"},
        "currency": "EUR",
        "lines": [dict(zip(("line_id", "title", "quantity", "amount_minor"), line, strict=True)) for line in chosen],
        "payment": {"payment_id": f"payment-{order_id}", "amount_minor": sum(line[3] for line in chosen)},
    }
