"""What cases and the roster had told each other in the inbox is not lost when they get a topic of their own."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services import mediation
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.postgres.store import PostgresStore

pytestmark = pytest.mark.stack

FOLDER = Path(mediation.__path__[0]) / "migrations"
CASES, ROSTER = 3, 5
"""Shards."""


async def _add(pool: asyncpg.Pool, shard: int, position: int, **about: Any) -> None:
    row = {"shard": shard, "position": position, "partition": shard, "time": 7, "data": b"{}", **about}
    names, places = ", ".join(row), ", ".join(f"${number + 1}" for number in range(len(row)))
    await pool.execute(f"INSERT INTO event ({names}) VALUES ({places})", *row.values())


@pytest.mark.rule("R48")
async def test_what_was_said_in_the_inbox_and_not_handled_yet_is_said_again_once(database_url: str) -> None:
    await migrate(database_url, "mediation", [KERNEL_MIGRATIONS])
    pool = await create_pool(database_url, "mediation", 1)
    await pool.execute(
        "INSERT INTO shard (shard, position, sequence, published) VALUES ($1, 4, 3, 4), ($2, 3, 1, 2)", CASES, ROSTER
    )
    seat: dict[str, Any] = {"topic": "mediation.commands", "type": "mediation.seat.v1"}
    to_roster = {"key": b"mediators", "partition": ROSTER}
    await _add(pool, CASES, 1, order_id="o1", sequence=1, id="heard", **seat, **to_roster)
    await _add(pool, CASES, 2, order_id="o2", sequence=2, id="unheard", **seat, **to_roster)
    await _add(pool, CASES, 3, order_id="o3", sequence=3, id="unheard, too", **seat, **to_roster)
    await _add(pool, CASES, 4, order_id="o4", type="mediation.evidence_noted.v1", id="private")
    await _add(pool, ROSTER, 1, order_id="mediators", type="mediation.seat_noted.v1", id="n", command_id="heard")
    await _add(pool, ROSTER, 2, order_id="mediators", type="mediation.seat_given.v1", id="g")
    assign: dict[str, Any] = {"topic": "mediation.commands", "type": "mediation.assign.v1", "sequence": 1}
    await _add(pool, ROSTER, 3, order_id="mediators", key=b"o1", **assign | {"id": "given", "partition": CASES})

    assert await migrate(database_url, "mediation", [FOLDER]) == ["mediation/0001_roster_topic.sql"]

    store = PostgresStore(pool, ())
    cases, roster = sorted(await store.claim([CASES, ROSTER], "me"), key=lambda claim: claim.shard)
    assert (cases.position, cases.sequence, roster.position, roster.sequence) == (6, 5, 4, 2)
    again = [*await store.unpublished(cases, 10), *await store.unpublished(roster, 10)]
    assert [(one.topic, one.id, one.stream_id, one.key, one.partition, one.sequence) for one in again] == [
        ("mediation.roster", "unheard", "o2", b"mediators", ROSTER, 4),
        ("mediation.roster", "unheard, too", "o3", b"mediators", ROSTER, 5),
        ("mediation.commands", "given", "mediators", b"o1", CASES, 1),  # it was not out yet; nobody believes it there
        ("mediation.roster", "given", "mediators", b"o1", CASES, 2),
    ]
    await pool.close()
