"""What is kept of what is heard: every record, by its order, and the rows of the lists that follow from it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.catalogue import CONTRACT
from schemas.instants import from_ms
from schemas.topics import OUTSIDERS_WRITE
from schemas.visibility import ADDRESS, without_addresses
from schemas.wire import Event, Reply
from services.casefile.shown.rows import case_row, order_row
from services.casefile.shown.shapes import CaseRow, OrderRow
from shared.kernel.envelope import any_attributes
from shared.kernel.ports import Followed, Input, Record, StoredEvent

CaseKey = tuple[str, str]
"""(order, dispute)."""
LISTED = ("order.events", "dispute.events", "mediation.events", "refund.events")
"""What the lists follow from."""
FOLDED_AT_ONCE_MAX = 200
_NAMED = {True: [b'"%s"' % name.encode() for name in ADDRESS], False: [b'"%s":"' % name.encode() for name in ADDRESS]}
"""Where to look whether a record has an address: ours are written without blanks, and null is none."""


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record with what it is found by."""

    order_id: str
    record: Record
    id: str
    type: str
    attributes: Mapping[str, str]


class RowTables(Protocol):
    """The durable side; what it is given is part of the commit that `transaction` belongs to."""

    async def rows(
        self, transaction: Any, orders: Sequence[str], cases: Sequence[CaseKey]
    ) -> tuple[dict[str, OrderRow], dict[CaseKey, CaseRow]]:
        """Those of them that there are."""
        ...

    async def keep(
        self,
        transaction: Any,
        records: Sequence[KeptRecord],
        orders: Sequence[OrderRow],
        cases: Sequence[CaseRow],
        gone: Sequence[CaseKey],
    ) -> None:
        """KeptRecords are added, rows put in the place of what was known of them; `gone`: there is no such case."""
        ...


class KeptRecords:
    def __init__(self, tables: RowTables) -> None:
        self.tables = tables

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        kept = [kept_record(found.payload.record) for _, found in inputs if isinstance(found.payload, Followed)]
        said = list(_listed(kept))
        order_ids = {event.order_id for _, event in said}
        keys = {key for _, event in said if (key := case_key(event)) is not None}
        orders, cases = await self.tables.rows(transaction, sorted(order_ids), sorted(keys))
        changed_orders: dict[str, OrderRow] = {}
        changed_cases: dict[CaseKey, CaseRow | None] = {}
        for number, (record, event) in enumerate(said, start=1):
            at, order_id, key = from_ms(record.timestamp), event.order_id, case_key(event)
            before = changed_orders.get(order_id, orders.get(order_id))
            if (row := order_row(before, event, at)) is not None and row is not before:
                changed_orders[order_id] = row
            if key is not None:
                changed_cases[key] = case_row(changed_cases.get(key, cases.get(key)), event, at)
            if number % FOLDED_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)  # who asks over HTTP is not to wait for a batch
        gone = [key for key, case in changed_cases.items() if case is None]
        present = [case for case in changed_cases.values() if case is not None]
        await self.tables.keep(transaction, kept, list(changed_orders.values()), present, gone)


def kept_record(record: Record) -> KeptRecord:
    """As it is kept: without addresses, which stand in `people` (R74), and findable whatever its headers say."""
    attributes = _ours(record) if is_ours(record) else any_attributes(record)
    place = f"{record.topic}/{record.partition}/{record.offset}"
    order_id = _text(record.key.decode(errors="replace") if record.key else place)
    return KeptRecord(
        order_id,
        unaddressed(record),
        _text(attributes.get("id", place)),
        _text(attributes.get("type", "")),
        attributes,
    )


def is_ours(record: Record) -> bool:
    """Its headers follow from its attributes."""
    return record.topic.endswith(".events") and record.topic not in OUTSIDERS_WRITE


def _ours(record: Record) -> dict[str, str]:
    return {name[3:]: value.decode(errors="replace") for name, value in record.headers if value and name[:3] == "ce_"}


def unaddressed(record: Record) -> Record:
    """Of what is no JSON, and of dead letters, nobody can say what is an address: nothing of it is kept."""
    value = None if record.topic.endswith(".dead-letters") else record.value
    if value is not None and not any(name in value for name in _NAMED[record.topic in OUTSIDERS_WRITE]):
        return record
    try:
        value = None if value is None else to_json(without_addresses(from_json(value)))
    except ValueError:
        value = None
    return Record(record.topic, record.partition, record.offset, record.timestamp, record.key, value, record.headers)


def case_key(event: Event) -> CaseKey | None:
    dispute_id = getattr(event, "dispute_id", None)
    return None if dispute_id is None else (event.order_id, dispute_id)


def _listed(kept: Iterable[KeptRecord]) -> Iterable[tuple[Record, Event]]:
    """Of a newer version's events those that can be read: the others are shown when this one is newer, too."""
    for one in kept:
        model = CONTRACT.get(one.type)
        if one.record.topic not in LISTED or model is None or not issubclass(model, Event) or issubclass(model, Reply):
            continue
        try:
            yield one.record, model.read(one.record.value or b"")
        except ValidationError:
            continue


def _text(said: str) -> str:
    """As the database takes it, and not longer than an index takes it."""
    return said.replace("\x00", "\ufffd")[:255]
