"""Migrations on a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from shared.runtime.postgres.database import ask, connect, create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate

pytestmark = pytest.mark.stack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gift" / "migrations").mkdir(parents=True)
    return tmp_path / "gift" / "migrations"


async def test_of_many_that_start_at_once_one_migrates_and_the_others_find_it_done(
    database_url: str, folder: Path
) -> None:
    (folder / "0001_a.sql").write_text("CREATE TABLE gift (id int)")
    (folder / "0002_b.sql").write_text("INSERT INTO gift SELECT 1 FROM pg_sleep(0.2)")
    applied = await asyncio.gather(*(migrate(database_url, "gift", [KERNEL_MIGRATIONS, folder]) for _ in range(5)))
    kernel = [f"shared/{path.name}" for path in sorted(KERNEL_MIGRATIONS.glob("*.sql"))]
    everything = [*kernel, "gift/0001_a.sql", "gift/0002_b.sql"]
    assert sorted(applied) == [[], [], [], [], everything]
    connection = await connect(database_url, "gift", "test")
    assert await connection.fetchval("SELECT count(*) FROM gift") == 1
    await connection.close()


async def test_a_migration_that_changed_after_it_ran_stops_the_start(database_url: str, folder: Path) -> None:
    (folder / "0001_a.sql").write_text("CREATE TABLE gift (id int)")
    await migrate(database_url, "gift", [folder])
    (folder / "0001_a.sql").write_text("CREATE TABLE gift (id bigint)")
    (folder / "0002_b.sql").write_text("CREATE TABLE never (id int)")
    with pytest.raises(RuntimeError, match=r"gift/0001_a\.sql was changed"):
        await migrate(database_url, "gift", [folder])
    connection = await connect(database_url, "gift", "test")
    assert await connection.fetchval("SELECT to_regclass('never')") is None
    await connection.close()


async def test_a_migration_that_fails_leaves_nothing_and_may_be_mended(database_url: str, folder: Path) -> None:
    (folder / "0001_a.sql").write_text("CREATE TABLE gift (id int); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database_url, "gift", [folder])
    (folder / "0001_a.sql").write_text("CREATE TABLE gift (id int)")
    assert await migrate(database_url, "gift", [folder]) == ["gift/0001_a.sql"]


async def test_schemas_do_not_see_each_others_migrations(database_url: str, folder: Path) -> None:
    (folder / "0001_a.sql").write_text("CREATE TABLE gift (id int)")
    assert await migrate(database_url, "one", [folder]) == await migrate(database_url, "two", [folder])


async def test_a_database_says_what_time_it_is_and_whether_it_takes_writes(database_url: str) -> None:
    pool = await create_pool(database_url, "gift", 1)
    answer = await ask(pool)
    assert not answer.read_only
    assert abs(answer.time - datetime.now(UTC)) < timedelta(minutes=1)
    await pool.execute("SET default_transaction_read_only = on")
    assert (await ask(pool)).read_only
    await pool.close()


async def test_the_database_itself_takes_no_second_row_at_a_position(database_url: str) -> None:
    await migrate(database_url, "gift", [KERNEL_MIGRATIONS])
    connection = await connect(database_url, "gift", "test")
    row = "INSERT INTO event (shard, position, partition, type, time, headers) VALUES (0, 1, 0, 'gift.given.v1', 0, '')"
    await connection.execute(row)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(row)
    await connection.close()
