"""The list of what stands still, in PostgreSQL: what the records say, in whatever order they came; and what operators
do about it, each act kept."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import asyncpg
import pytest

from schemas.instants import EPOCH, to_ms
from schemas.wire import Command
from services import casefile
from services.casefile.front.turned_away import Wrong
from services.casefile.operating.own_store import NOTES_MAX, PostgresOwnTables
from services.casefile.operating.planning import PlanApplied, PlanAsked, Planner
from services.casefile.operating.stuck import StuckRow, standstills
from services.casefile.operating.stuck_store import LetterFilter, PostgresStuckTables, StuckOfOrders
from services.casefile.shown.reading import Asked
from services.casefile.shown.shapes import AsOf
from services.casefile.tables.projection import KeptRecords
from services.casefile.tables.store import PostgresCaseTables
from shared.kernel import codec
from shared.kernel.envelope import DeadLetter
from shared.kernel.ports import Outage, Record
from shared.runtime.memory import START
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from tests.casefile.test_stuck import still_parked, with_broken_rules
from tests.simulation.plan import draw
from tests.simulation.play import play
from tests.support.pace import hear

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

FOLDER = Path(casefile.__path__[0])
OLGA, OTTO = Asked("operator", "olga"), Asked("operator", "otto")
FOLLOWED = (".events", ".roster", ".dead-letters")


@pytest.fixture(scope="module", params=range(3))
def history(request: pytest.FixtureRequest) -> Sequence[Record]:
    """Up to a moment at which somebody waits."""
    said = [one for one in play(with_broken_rules(draw(request.param))).world.bus.heard if one.topic.endswith(FOLLOWED)]
    moments = [number for number in range(1, len(said)) if still_parked(standstills(said[:number]))]
    return said[: moments[len(moments) // 2]]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    await migrate(database_url, "casefile", [FOLDER / "own"])
    await migrate(database_url, "casefile_1", [KERNEL_MIGRATIONS, FOLDER / "migrations"])
    pool = await create_pool(database_url, "casefile_1", 2)
    yield pool
    await pool.close()


async def as_of() -> AsOf:
    return AsOf(at=EPOCH, records={}, behind_seconds=0.0)


async def told(pool: asyncpg.Pool, records: Sequence[Record], seed: int = 1) -> PostgresStuckTables:
    await hear(pool, [KeptRecords(PostgresCaseTables(pool, 1)), StuckOfOrders()], records, Random(seed))
    return PostgresStuckTables(pool, as_of)


async def all_stuck(tables: PostgresStuckTables, kind: str | None = None) -> list[StuckRow]:
    found: list[StuckRow] = []
    cursor = None
    while True:
        rows = await tables.stuck(kind, cursor, 3)
        found += rows.rows
        if (cursor := rows.next) is None:
            return found


async def test_what_stands_still_is_what_the_records_say(pool: asyncpg.Pool, history: Sequence[Record]) -> None:
    tables = await told(pool, history)
    expected = standstills(history)
    parked = await tables.parked(None, None, 1000)
    assert {(one.service, one.order_id) for one in parked} == still_parked(expected)
    listed = await all_stuck(tables)
    assert listed == sorted(listed, key=lambda one: (one.since, one.kind, one.key))
    assert len(listed) == len({(one.kind, one.key) for one in listed})
    by_kind = {kind: {one.key for one in listed if one.kind == kind} for kind in {one.kind for one in listed}}
    assert by_kind["parked"] == {f"{service}/{order}" for service, order in still_parked(expected)}
    seats = [one for one in expected.seats.values() if one is not None]
    assert by_kind.get("empty_seat", set()) | by_kind.get("overdue_mediation", set()) == {
        f"{one.order_id}/{one.dispute_id}" for one in seats
    }
    assert by_kind.get("undelivered", set()) == {
        f"{one.order_id}/{one.delivery_id}" for one in expected.undelivered.values() if one is not None
    }
    assert await tables.counts() == {kind: len(keys) for kind, keys in by_kind.items()}
    for kind, keys in by_kind.items():
        assert {one.key for one in await all_stuck(tables, kind)} == keys


def set_aside(number: int, reason: str = "no_ce_id: it has none", topic: str = "order.commands") -> Record:
    """As a service publishes it."""
    original = Record(
        *(topic, 0, number, to_ms(START), f"o{number}".encode(), b'{"secret": "%d"}' % number),
        [("ce_id", b"c%d" % number), ("ce_type", b"order.ship.v1"), ("x-own", None)],
    )
    service = topic.partition(".")[0]
    key, headers, value = codec.dead_letter(original, DeadLetter(reason), f"recourse/{service}/0", number + 1)
    at = to_ms(START + timedelta(minutes=number))
    return Record(f"{service}.dead-letters", 0, number, at, key, value, headers)


@dataclass
class Bus:
    """What lies there, and what was put there."""

    lying: Mapping[tuple[str, int, int], Record]
    written: list[Record] = field(default_factory=list)
    sent: list[tuple[str, Command]] = field(default_factory=list)
    fails_for: frozenset[str] = frozenset()

    async def read(self, places: Sequence[tuple[str, int, int]]) -> Mapping[tuple[str, int, int], Record]:
        return {place: self.lying[place] for place in places if place in self.lying}

    async def write(self, record: Record) -> None:
        if (record.key or b"").decode() in self.fails_for:
            raise Outage("the broker is away")
        self.written.append(record)

    async def send(self, command: Command, command_id: str, trace: Mapping[str, str]) -> None:
        self.sent.append((command_id, command))


async def test_dead_letters_go_back_as_they_came_and_each_once(pool: asyncpg.Pool) -> None:
    letters = [
        *(set_aside(number) for number in range(4)),
        set_aside(4, "not_utf8: no"),
        set_aside(5),
    ]
    tables, own = await told(pool, letters), PostgresOwnTables(pool)
    bus = Bus({(one.topic, one.partition, one.offset): one for one in letters}, fails_for=frozenset({"o2"}))
    planner = Planner(tables, own, bus, bus)
    asked = PlanAsked(what="redrive", reason="no_ce_id", since=START + timedelta(minutes=1))
    plan = await planner.plan(OLGA, asked)
    assert [step.order_id for step in plan.steps] == ["o1", "o2", "o3", "o5"]
    assert bus.written == []
    assert await own.audit(None, None, 9) == []

    applied = PlanApplied(**asked.model_dump(), token=plan.token, why="The gateway is mended.")
    with pytest.raises(Wrong):
        await planner.apply(OTTO, applied)  # he has not seen the list
    done = await planner.apply(OLGA, applied)
    assert [step.done for step in done.steps] == [True, False, True, True]
    first = bus.written[0]
    assert (first.topic, first.partition, first.key, first.value) == ("order.commands", 0, b"o1", b'{"secret": "1"}')
    assert list(first.headers) == [("ce_id", b"c1"), ("ce_type", b"order.ship.v1"), ("x-own", None)]
    (kept,) = await own.audit(None, None, 9)
    assert (kept.operator, kept.what, kept.why, kept.number) == (
        "olga",
        "redrive",
        "The gateway is mended.",
        done.audit,
    )
    assert [step["id"] for step in kept.about["steps"]] == ["c1", "c2", "c3", "c5"]

    assert [one.id for one in await tables.letters(LetterFilter(), 9)] == ["c0", "c2", "c4"]
    with pytest.raises(Wrong):
        await planner.apply(OLGA, applied)  # the list is another one by now
    rest = await planner.plan(OLGA, asked)
    assert [step.order_id for step in rest.steps] == ["o2"]
    [row, other] = await all_stuck(tables, "dead_letter")
    assert {(one.reason, one.about["count"]) for one in (row, other)} == {("no_ce_id", 2), ("not_utf8", 1)}

    dismissed = await planner.plan(OLGA, PlanAsked(what="dismiss", id="c4"))
    await planner.apply(OLGA, PlanApplied(what="dismiss", id="c4", token=dismissed.token, why="Garbage."))
    assert [one.about["code"] for one in await all_stuck(tables, "dead_letter")] == ["no_ce_id"]


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (set_aside(1, topic="payments.events"), "not ours to write"),
        (set_aside(1, topic="order.events"), "not ours to write"),
        (set_aside(1, topic="own input"), "not ours to write"),
        (
            Record(
                *("order.dead-letters", 0, 1, to_ms(START), b"o1", b"cut"),
                [("x-dead-letter-cut-from", b"9999999"), *set_aside(1).headers[-7:]],
            ),
            "too large",
        ),
    ],
)
async def test_what_cannot_go_back_stays_and_is_told_why(pool: asyncpg.Pool, letter: Record, why: str) -> None:
    letter = replace(letter, topic="order.dead-letters")
    tables, own = await told(pool, [letter]), PostgresOwnTables(pool)
    bus = Bus({("order.dead-letters", 0, 1): letter})
    planner = Planner(tables, own, bus, bus)
    plan = await planner.plan(OLGA, PlanAsked(what="redrive"))
    (step,) = plan.steps
    assert why in (step.stays or "")
    with pytest.raises(Wrong):
        await planner.apply(OLGA, PlanApplied(what="redrive", token=plan.token, why="All the same."))
    assert bus.written == []


async def test_parked_orders_are_let_go_on_and_again_when_they_stop_again(pool: asyncpg.Pool) -> None:
    reason = "parked: ZeroDivisionError: its order waits for a fix, with what follows"
    tables, own = await told(pool, [set_aside(1, reason), set_aside(2, reason)]), PostgresOwnTables(pool)
    bus = Bus({})
    planner = Planner(tables, own, bus, bus)

    async def go_on() -> list[str]:
        before = len(bus.sent)
        asked = PlanAsked(what="resume", service="order", reason="ZeroDivisionError")
        plan = await planner.plan(OLGA, asked)
        await planner.apply(OLGA, PlanApplied(**asked.model_dump(), token=plan.token, why="Mended."))
        assert {(one.order_id, one.type) for _, one in bus.sent[before:]} == {
            ("o1", "order.resume.v1"),
            ("o2", "order.resume.v1"),
        }
        assert {(one.actor.role, one.actor.id) for _, one in bus.sent[before:]} == {("operator", "olga")}
        return [id_ for id_, _ in bus.sent[before:]]

    first = await go_on()
    assert await go_on() == first, "the same list is the same commands (R81)"
    await told(pool, [replace(set_aside(7, reason), key=b"o1"), replace(set_aside(8, reason), key=b"o2")])
    assert not set(first) & set(await go_on()), "they stopped again"
    assert (await planner.plan(OLGA, PlanAsked(what="resume", reason="PolicyMissing"))).steps == []
    assert (await planner.plan(OLGA, PlanAsked(what="resume", reason="%"))).steps == []
    assert await tables.letters(LetterFilter(), 9) == [], "they wait with their orders, and are not redriven"


async def test_all_cases_of_a_mediator_go_to_others_in_turn(pool: asyncpg.Pool) -> None:
    tables, own = PostgresStuckTables(pool, as_of), PostgresOwnTables(pool)
    for number in range(3):
        row: dict[str, object] = {
            "order_id": f"o{number}", "dispute_id": f"o{number}.d1", "buyer": "bea", "seller": "sam", "mediator": "mia",
            "status": "processing", "dispute_status": "in_mediation", "waiting_for": ["mediator"], "due_at": None,
            "round": 1, "reason": "damaged", "currency": "EUR", "claimed_minor": 5,
            "evidence": {}, "opened_at": "2026-03-01T00:00:00.000Z", "updated_at": "2026-03-01T00:00:00.000Z",
        }  # fmt: skip
        await pool.execute(
            """INSERT INTO case_row (order_id, dispute_id, buyer, seller, mediator, mediators, status, waiting_for,
                is_appeal, is_open, claimed_minor, due_at, row)
            VALUES ($1, $2, 'bea', 'sam', 'mia', '{mia}', 'processing', '{mediator}', false, true, 5, 'infinity',
                $3)""",
            *(row["order_id"], row["dispute_id"], json.dumps(row)),
        )
    bus = Bus({})
    planner = Planner(tables, own, bus, bus)
    asked = PlanAsked(what="reassign", mediator="mia", to=["max", "moe"])
    plan = await planner.plan(OLGA, asked)
    await planner.apply(OLGA, PlanApplied(**asked.model_dump(), token=plan.token, why="She left."))
    assert [(one.order_id, getattr(one, "mediator_id", None)) for _, one in bus.sent] == [
        ("o0", "max"),
        ("o1", "moe"),
        ("o2", "max"),
    ]
    for wrong in (PlanAsked(what="reassign", mediator="mia"), PlanAsked(what="reassign", to=["max"])):
        with pytest.raises(Wrong):
            await planner.plan(OLGA, wrong)


async def test_clocks_that_ran_out_and_seats_that_stay_empty_are_listed_once_it_is_late(pool: asyncpg.Pool) -> None:
    now: datetime = await pool.fetchval("SELECT now()")
    await pool.execute(
        """INSERT INTO order_row (order_id, buyer, seller, status, placed_at, due_at, row)
        SELECT 'o' || n, 'bea', 'sam', 'disputed', $1::timestamptz, $1::timestamptz - n * interval '3 minutes', '{}'
        FROM generate_series(1, 3) AS n""",
        now,
    )
    await pool.execute(
        """INSERT INTO empty_seat (order_id, dispute_id, since, round, is_overdue)
        VALUES ('o1', 'd1', $1::timestamptz - interval '30 s', 1, false),
            ('o2', 'd2', $1::timestamptz - interval '2 min', 1, false)""",
        now,
    )
    tables = PostgresStuckTables(pool, as_of)
    assert [one.order_id for one in await all_stuck(tables, "overdue_alarm")] == ["o3", "o2"]
    assert [one.order_id for one in await all_stuck(tables, "empty_seat")] == ["o2"]
    with pytest.raises(ValueError):
        await tables.stuck(None, "WyJhIl0=", 3)


async def test_what_operators_did_and_noted_is_only_ever_added_to(pool: asyncpg.Pool) -> None:
    own = PostgresOwnTables(pool)
    first = await own.audited("olga", "redrive", "why", "o1", {"steps": []})
    second = await own.audited("otto", "resume", "why not", None, {})
    assert [one.number for one in await own.audit(None, None, 9)] == [second, first]
    assert [one.operator for one in await own.audit("o1", None, 9)] == ["olga"]
    assert [one.number for one in await own.audit(None, second, 9)] == [first]
    for number in range(NOTES_MAX):
        assert await own.note("o1", "d1", "mediator", "mia", f"note {number}") is not None
    assert await own.note("o1", "d1", "mediator", "mia", "one too many") is None
    assert [one.text for one in await own.notes("o1", "d1")][:2] == ["note 0", "note 1"]
    assert await own.notes("o1", "d2") == []
    for table in ("audit", "note"):
        for change in (f"DELETE FROM casefile.{table}", f"UPDATE casefile.{table} SET number = DEFAULT"):
            with pytest.raises(asyncpg.RestrictViolationError):
                await pool.execute(change)
    await pool.execute('DROP SCHEMA "casefile_1" CASCADE')
    assert len(await own.audit(None, None, 9)) == 2, "another edition of the tables changes nothing of it"
