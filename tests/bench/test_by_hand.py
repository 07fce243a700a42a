"""The baseline is worth comparing with: it refuses what it must, does nothing twice and lets nobody wait for ever."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg
import pytest

from tests.bench import by_hand
from tests.bench.by_hand import Document, Refused, decide, perform, ring
from tests.bench.steps import person, refund_minor, steps, total_minor

NUMBER = 7
ORDER = "order-7"


def commands() -> list[dict[str, Any]]:
    """Of a whole lifecycle, as they are given."""
    given = []
    for step in steps(ORDER, NUMBER):
        who = "" if step.role == "mediator" else person(NUMBER, step.role)
        id_ = f"{ORDER}/{step.command}/{step.role}"
        given.append({"id": id_, "type": step.command, "order_id": ORDER, "actor": {"role": step.role, "id": who}})
        given[-1] |= step.data
    return given


def played(given: Sequence[Mapping[str, Any]]) -> Document:
    order: Document = {}
    for command in given:
        decide(order, mediated(command, order))
    return order


def mediated(command: Mapping[str, Any], order: Document) -> Mapping[str, Any]:
    """Given by the mediator of the order, if it is one of his."""
    actor = command["actor"]
    return {**command, "actor": actor | {"id": order["people"]["mediator"]}} if actor["role"] == "mediator" else command


@pytest.mark.parametrize("turn", range(11))
def test_each_command_has_its_turn_and_its_giver(turn: int) -> None:
    order, command = played(commands()[:turn]), commands()[turn]
    with pytest.raises(Refused, match="not_allowed"):
        decide(order, {**command, "actor": {"role": "operator", "id": "olga"}})
    for early in commands()[turn + 1 :]:
        if early["type"] != command["type"] and early["actor"]["role"] != "mediator":
            with pytest.raises(Refused, match="wrong_state"):
                decide(order, early)
    decide(order, mediated(command, order))
    if turn < 10:
        with pytest.raises(Refused):
            decide(order, mediated(command, order))


def test_strangers_have_no_part_in_it() -> None:
    ship = commands()[1]
    with pytest.raises(Refused, match="not_allowed"):
        decide(played(commands()[:1]), {**ship, "actor": {"role": "seller", "id": "somebody"}})


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as opened:
        await opened.execute(by_hand.TABLES)
        yield opened


async def given(pool: asyncpg.Pool, command: Mapping[str, Any], digest: bytes = b"1") -> Any:
    return json.loads(await perform(pool, command, digest))


@pytest.mark.stack
async def test_the_same_again_changes_nothing_and_has_the_same_answer(pool: asyncpg.Pool) -> None:
    place, ship = commands()[:2]
    assert await given(pool, ship) == {"refused": "wrong_state"}
    answer = await given(pool, place)
    assert await given(pool, place) == answer
    assert await given(pool, place, b"2") == {"refused": "conflict"}
    assert await given(pool, ship) == {"refused": "wrong_state"}, "a refusal is an answer, too"
    assert await pool.fetchval("SELECT count(*) FROM ledger") == 2


@pytest.mark.stack
@pytest.mark.parametrize(
    ("turns", "refunded"),
    [(1, total_minor(NUMBER)), (2, 0), (3, total_minor(NUMBER) * 3 // 5), (9, refund_minor(NUMBER))],
)
async def test_whatever_nobody_answers_ends_by_itself(pool: asyncpg.Pool, turns: int, refunded: int) -> None:
    mediator = None
    for command in commands()[:turns]:
        who = {"actor": {"role": "mediator", "id": mediator}} if command["actor"]["role"] == "mediator" else {}
        mediator = (await given(pool, command | who))["mediator"]
    assert await ring(pool) == 0
    await pool.execute("UPDATE timer SET due_at = now() - interval '1 second'")
    assert await ring(pool) == 1
    assert await pool.fetchval("SELECT count(*) FROM timer") == 0
    ends = await pool.fetch("SELECT account, sum(amount_minor)::bigint FROM ledger WHERE version > 1 GROUP BY account")
    split = {account: minor for account, minor in ends if account != "escrow"}
    parts = {"buyer": refunded, "seller": total_minor(NUMBER) - refunded}
    assert split == {party: minor for party, minor in parts.items() if minor}
    assert await pool.fetchval("SELECT sum(amount_minor)::bigint FROM ledger") == 0
