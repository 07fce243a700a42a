"""The case file without a server: its tables, read from the bus of the whole system in memory, and its way back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.memory import MemoryStage, open_stage
from deploy.stories.claims import disputed, escalated
from deploy.stories.dialogue import PlayedOrder, Scene, photo, refund
from schemas.catalogue import CONTRACT
from schemas.dispute.events import DisputeEvent
from schemas.instants import EPOCH, from_ms, to_ms
from schemas.mediation.events import CaseEvent
from schemas.topics import FOLLOWED
from schemas.visibility import Viewer
from schemas.wire import MEDIATORS_KEY, Command, Event
from services.casefile.foresight.remembered import in_order
from services.casefile.front.desk import Desk
from services.casefile.front.sending import headers
from services.casefile.front.uttering import on_the_wire
from services.casefile.shown.reading import Asked, CaseFilter, Found, OrderFilter, Rows
from services.casefile.shown.rows import case_row, order_row
from services.casefile.shown.shapes import AsOf, CaseRow, OrderRow
from services.casefile.shown.whose import owners
from services.casefile.tables.cursors import cursor_at, opened
from services.casefile.tables.projection import unaddressed
from shared.kernel.codec import header
from shared.kernel.ports import Outage, Record
from shared.runtime.memory import MemoryBus, World

SAID = (".events", "mediation.roster")
LAST = datetime.max.replace(tzinfo=UTC)


@dataclass
class MemoryCaseTables:
    """What the topics of a bus hold, as the case file's own tables would have it. `behind_seconds` and `is_away` are
    what a test makes of them."""

    bus: MemoryBus
    behind_seconds: float = 0.0
    is_away: bool = False
    asked: list[str] = field(default_factory=list)
    """The orders that were looked for."""

    async def as_of(self) -> AsOf:
        if self.is_away:
            raise Outage("the database is away")
        topics = sorted({topic for topic, _ in self.bus.logs if topic.endswith(SAID)})
        records = {
            topic: sum(self.bus.log(*place).end for place in self.bus.logs if place[0] == topic) for topic in topics
        }
        return AsOf(at=from_ms(to_ms(self.bus.now)), records=records, behind_seconds=self.behind_seconds)

    async def find(self, order_id: str) -> Found | None:
        as_of = await self.as_of()
        self.asked.append(order_id)
        said = in_order(self._lying(order_id, SAID))
        if not said or order_id == MEDIATORS_KEY:
            return None
        sent = sorted(self._lying(order_id, (".commands",)), key=lambda one: (one.timestamp, one.topic, one.offset))
        commands = [unaddressed(record) for record in sent]
        dead_letters = [*self._lying(order_id, (".dead-letters",))]
        return Found(order_id, said, in_order(self._lying(MEDIATORS_KEY, SAID)), commands, as_of, dead_letters)

    async def cases(self, asked: Asked, wanted: CaseFilter, cursor: str | None, limit: int) -> Rows:
        rows = sorted(await self._rows(asked, _case_rows), key=_case_key)
        return await self._page([row for row in rows if _is_wanted(row, wanted)], _case_key, cursor, limit, "cases")

    async def orders(self, asked: Asked, wanted: OrderFilter, cursor: str | None, limit: int) -> Rows:
        rows = [
            row
            for row in sorted(await self._rows(asked, _order_rows), key=_order_key)
            if wanted.buyer in (None, row.buyer)
            and wanted.seller in (None, row.seller)
            and wanted.status in (None, row.status)
        ]
        return await self._page(rows, _order_key, cursor, limit, "orders")

    async def order_ids(self, after: str | None, limit: int, placed_from: datetime | None = None) -> Sequence[str]:
        return [one for one in self._order_ids() if after is None or one > after][:limit]

    async def _rows(self, asked: Asked, of: Callable[[Found, Asked], Iterable[Any]]) -> list[Any]:
        found = [one for order_id in self._order_ids() if (one := await self.find(order_id)) is not None]
        return [row for one in found if owners(one).may_look(asked) for row in of(one, asked)]

    async def _page(
        self, rows: list[Any], key: Callable[[Any], Any], cursor: str | None, limit: int, kind: str
    ) -> Rows:
        after = None if cursor is None else opened(cursor, 1 if kind == "orders" else 2)
        left = [row for row in rows if after is None or key(row) > (after[0], *after[1])]
        ends = cursor_at(*key(left[limit - 1])) if len(left) > limit else None
        listed: Any = {kind: left[:limit]}
        return Rows(**listed, next=ends, as_of=await self.as_of())

    def _order_ids(self) -> list[str]:
        placed = (record for record in self.bus.records("order.events"))
        return sorted({(record.key or b"").decode() for record in placed})

    def _lying(self, key: str, topics: tuple[str, ...]) -> Iterator[Record]:
        for (topic, _), log in self.bus.logs.items():
            if topic in FOLLOWED and topic.endswith(topics):
                yield from (record for record in log if record.key == key.encode())


class MemorySender:
    """Puts commands on the bus and lets the system come to rest."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_away = False
        self.sent: list[tuple[str, Mapping[str, str]]] = []

    async def send(self, command: Command, command_id: str, trace: Mapping[str, str]) -> None:
        if self.is_away:
            raise Outage("the broker is away")
        self.sent.append((command_id, trace))
        assert command.topic is not None
        self.world.bus.append(
            command.topic, command.key.encode(), on_the_wire(command), headers(command, command_id, trace)
        )
        await self.world.settle()


@dataclass(frozen=True)
class Office:
    """A stage on which stories are played, and the desk at which everybody asks how they go."""

    stage: MemoryStage
    tables: MemoryCaseTables
    sender: MemorySender
    desk: Desk


async def open_office(policy: str = "aliexpress") -> Office:
    stage, _ = await open_stage(policy)
    world = stage.world
    tables, sender = MemoryCaseTables(world.bus), MemorySender(world)
    return Office(stage, tables, sender, Desk(tables, lambda: world.policies, sender, world.bus.clock))


MARKUP = "<script>alert(1)</script>"
RIGHT_TO_LEFT = "\u202eevil\u2066"


@dataclass(frozen=True)
class Quarrel:
    """An order whose dispute is before a mediator. The buyer declined what the seller offered, of which the seller is
    never told, and each has written what would hurt where it is not taken as text."""

    office: Office
    case: PlayedOrder
    mediator: str

    @property
    def order_id(self) -> str:
        return self.case.order_id

    def who(self, role: Viewer) -> Asked:
        people = {"buyer": self.case.buyer.id, "seller": self.case.seller.id, "mediator": self.mediator}
        return Asked(role, people.get(role, "olga"))


async def quarrel(office: Office, name: str = "drone") -> Quarrel:
    case = await Scene(office.stage, name).disputable_order(goods=250_00)
    claim = f"It is cracked. {MARKUP} {RIGHT_TO_LEFT}"
    await disputed(case, 250_00, description=claim, evidence=[photo("crack")])
    await case.seller.says("dispute.reject", dispute_id="d1", message=f"It flew when it left us. {MARKUP}")
    mediator = await escalated(case)
    solution = await case.seller.says(
        "mediation.offer", dispute_id="d1", terms=refund(60_00), message="A new propeller."
    )
    await case.buyer.says("mediation.decline_offer", dispute_id="d1", offer_id=solution["offer_id"])
    await office.stage.sleep(timedelta())
    return Quarrel(office, case, mediator.id)


def _order_rows(found: Found, asked: Asked) -> list[OrderRow]:
    row: OrderRow | None = None
    for event, at in _events(found):
        row = order_row(row, event, at)
    return [] if row is None else [row]


def _case_rows(found: Found, asked: Asked) -> list[CaseRow]:
    rows: dict[str, CaseRow | None] = {}
    for event, at in _events(found):
        if isinstance(event, DisputeEvent | CaseEvent) and hasattr(event, "dispute_id"):
            dispute_id = event.dispute_id
            rows[dispute_id] = case_row(rows.get(dispute_id), event, at)
    seats = owners(found).mediators
    mine = {dispute for dispute, mediator in seats if mediator == asked.id}
    return [row for row in rows.values() if row is not None and (asked.role != "mediator" or row.dispute_id in mine)]


def _events(found: Found) -> Iterator[tuple[Event, datetime]]:
    for record in found.records:
        model = CONTRACT.get(header(record.headers, "ce_type") or "")
        if model is not None and issubclass(model, Event):
            yield model.read(record.value or b""), from_ms(record.timestamp)


def _is_wanted(row: CaseRow, wanted: CaseFilter) -> bool:
    return (
        wanted.mediator in (None, row.mediator or "-")
        and wanted.status in (None, row.status)
        and (wanted.waiting_for is None or wanted.waiting_for in row.waiting_for)
        and (wanted.due_before is None or (row.due_at is not None and row.due_at < wanted.due_before))
        and wanted.is_appeal in (None, row.is_appeal)
        and row.claimed_minor >= (wanted.claimed_from_minor or 0)
        and not (wanted.open_only and row.dispute_status == "closed")
    )


def _case_key(row: CaseRow) -> tuple[datetime, str, str]:
    return row.due_at or LAST, row.order_id, row.dispute_id


def _order_key(row: OrderRow) -> tuple[datetime, str]:
    """The newest first."""
    return EPOCH + (LAST - row.placed_at), row.order_id
