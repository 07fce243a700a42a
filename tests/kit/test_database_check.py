"""Which databases a service begins with, and what it says of the others."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.runtime.database_check import check, refusals
from shared.runtime.postgres import database
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from shared.runtime.postgres.store import PostgresStore
from shared.runtime.presence import Presence
from tests.support.pooler import pooled
from tests.support.waiting import until


@pytest.mark.parametrize(
    "address",
    [
        *(f"postgresql://ann:sec{mark}ret@localhost:5432/recourse" for mark in "/#?@["),
        "postgresql://ann:12/sec.ret@localhost/recourse",  # what is left is the address of another host
        "mysql://ann:secret@localhost/recourse",
        "ann:secret@localhost",
        "postgresql://ann:secret@localhost:post/recourse",
    ],
)
async def test_an_address_that_is_none_is_refused_without_a_word_of_the_password(address: str) -> None:
    with pytest.raises(SystemExit) as refused:
        await check(address)
    assert str(refused.value).startswith("RECOURSE_DATABASE_URL: ")
    assert "sec" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__, "no traceback quotes it either"


@pytest.mark.parametrize(
    ("kind", "waits"),
    [
        (asyncpg.CannotConnectNowError, True),
        (asyncpg.TooManyConnectionsError, True),
        (asyncpg.ReadOnlySQLTransactionError, True),
        (asyncpg.InsufficientPrivilegeError, False),
        (asyncpg.UndefinedFunctionError, False),  # too old a server
        (asyncpg.DuplicateTableError, False),
    ],
)
def test_only_what_may_pass_is_waited_for(kind: type[asyncpg.PostgresError], waits: bool) -> None:
    with pytest.raises(kind if waits else SystemExit), refusals():
        raise kind("its own words")


@pytest.mark.stack
async def test_a_database_that_is_well_is_taken_and_a_server_that_is_away_is_waited_for(database_url: str) -> None:
    await check(database_url)
    with pytest.raises(OSError, match=r"Connect|refused"):
        await check("postgresql://ann@127.0.0.1:1/recourse")


@pytest.mark.stack
@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ("by no such role, or not by this password", {"password": "wrong"}),
        ("by no such role, or not by this password", {"username": "nobody-at-all"}),
        ("no such database", {"path": "/nothing"}),
    ],
)
async def test_what_no_waiting_changes_is_refused(database_url: str, said: str, changed: dict[str, str]) -> None:
    at = urlsplit(database_url)
    role, password = changed.get("username", at.username), changed.get("password", at.password)
    address = at._replace(netloc=f"{role}:{password}@{at.hostname}:{at.port}", path=changed.get("path", at.path))
    with pytest.raises(SystemExit, match=said):
        await check(address.geturl())


@pytest.mark.stack
async def test_a_database_that_cannot_keep_every_character_is_refused(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(SystemExit, match="LATIN1"):
            await check(urlsplit(database_url)._replace(path="/latin").geturl())
    finally:
        await connection.execute("DROP DATABASE latin WITH (FORCE)")
        await connection.close()


@pytest.mark.stack
async def test_a_pooler_by_transaction_is_refused(database_url: str) -> None:
    async with pooled(database_url, "transaction") as address:
        with pytest.raises(SystemExit, match="pool by session"):
            await check(address)


@pytest.mark.stack
async def test_a_pooler_by_session_is_as_good_as_none(database_url: str) -> None:
    """Its sessions are used again by whoever comes next, without a trace of who was there before."""
    async with pooled(database_url, "session") as address:
        await check(address)
        for schema in ("order", "refund"):
            await migrate(address, schema, [KERNEL_MIGRATIONS])
        woken = asyncio.Event()
        members = [Presence(address, "order", name, 3, 60.0, woken.set) for name in ("a", "b")]
        pools = [await database.create_pool(address, schema, 2) for schema in ("order", "refund")]
        stores = [PostgresStore(pool, ()) for pool in pools]
        assert [(await member.look())[0] for member in members] == [["a"], ["a", "b"]]
        assert [len(await store.claim([0, 1, 2], "a")) for store in stores] == [3, 0], "each sees its own schema"
        await members[1].call()
        await asyncio.wait_for(woken.wait(), 5)

        await members[1].end()

        async def alone() -> bool:
            return (await members[0].look())[0] == ["a"]

        await until("the death of a member is seen, though the session it had goes on", alone, 5)
        await members[0].end()
        for pool in pools:
            await pool.close()
