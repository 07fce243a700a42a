"""Commands as a gateway sends them; the plain load: many orders, each placed, shipped and tracked, overlapping."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.support.believing import BELIEVING
from tests.support.commands import Given, command, headers

OVERLAP = 500
"""So many other orders are placed between one order's commands."""


def commands(orders: int, name: str) -> Iterator[Given]:
    """Three for each of `orders` orders, called `name`-0, `name`-1 … Each has exactly one event in answer, on
    order.events; the order service runs alone, so nobody else is asked whether they are paid."""
    for i in range(orders + 2 * OVERLAP):
        if i < orders:
            yield given("order.place.v1", f"{name}-{i}", "platform", "checkout", basket(f"{name}-{i}", i))
        if 0 <= (shipped := i - OVERLAP) < orders:
            parcel = {"carrier": "Cainiao", "tracking_number": f"LP00{shipped:012d}CN"}
            yield given("order.ship.v1", f"{name}-{shipped}", "seller", f"seller-{shipped % 97}", parcel)
        if 0 <= (tracked := i - 2 * OVERLAP) < orders:
            parcel = {"carrier": "Cainiao", "tracking_number": f"LP00{tracked:012d}HK"}
            yield given("order.correct_tracking.v1", f"{name}-{tracked}", "seller", f"seller-{tracked % 97}", parcel)


def given(type_: str, order_id: str, role: str, person: str, data: Mapping[str, Any]) -> Given:
    """With all the headers that a gateway may give."""
    bare = command(type_, order_id, role, person, data)
    dressed = headers(
        type_,
        bare.id,
        specversion="1.0",
        source="gateway/web",
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        subject=order_id,
        correlationid=order_id,
    )
    trace = f"00-{uuid4().hex}-{uuid4().hex[:16]}-01".encode()
    return replace(bare, headers=[*dressed, ("traceparent", trace), ("content-type", b"application/json")])


def basket(order_id: str, number: int) -> dict[str, Any]:
    lines = [("1", "Desk lamp, brass", 2, 4_900), ("2", "USB-C cable 2 m", 1, 799), ("3", "Phone case", 1, 1_250)]
    chosen = lines[: 1 + number % len(lines)]
    return {
        "buyer": {"id": f"buyer-{number}", "email": f"buyer-{number}@example.com", "locale": "en"},
        "seller": {"id": f"seller-{number % 97}", "email": f"seller-{number % 97}@example.com"},
        "currency": "EUR",
        "lines": [dict(zip(("line_id", "title", "quantity", "amount_minor"), line, strict=True)) for line in chosen],
        "payment": {"payment_id": f"payment-{order_id}", "amount_minor": sum(line[3] for line in chosen)},
        "policy": f"{BELIEVING}aliexpress",
    }
