"""The baseline: the disputed lifecycle as it is written by hand, with asyncpg and without a bus.

`python -m tests.bench.by_hand DATABASE_URL PORT`: a connection gives one command a line and is told its answer in one.
A command is one transaction: known already, whose it is, in which state, money, who is told, which timers; a timer that
is due is a command of the system. It is spared what the services do besides: history, policies, business days, a
mediator's workload, a payment service that may say no, letters.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any
from zlib import crc32

import asyncpg

Document = dict[str, Any]

POOL = 10
TIMERS_AT_ONCE_MAX = 500
POLL_SECONDS = 1.0
DAY = 24 * 3600.0
MEDIATORS = tuple(f"mediator-{number}" for number in range(8))
TABLES = """
CREATE TABLE "order" (order_id text PRIMARY KEY, version integer NOT NULL, document jsonb NOT NULL);
CREATE TABLE ledger (order_id text, version integer, account text, amount_minor bigint NOT NULL,
    booked_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (order_id, version, account));
CREATE TABLE notification (order_id text, version integer, recipient text, about text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (order_id, version, recipient));
CREATE TABLE timer (order_id text, name text, due_at timestamptz NOT NULL, PRIMARY KEY (order_id, name));
CREATE INDEX timer_due ON timer (due_at);
CREATE TABLE command_log (command_id text PRIMARY KEY, digest bytea NOT NULL, answer text,
    at timestamptz NOT NULL DEFAULT now());
"""
REMEMBER = "INSERT INTO command_log (command_id, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"
KNOWN = "SELECT digest, answer FROM command_log WHERE command_id = $1"
ANSWER = "UPDATE command_log SET answer = $2 WHERE command_id = $1"
LOOK = 'SELECT document FROM "order" WHERE order_id = $1 FOR UPDATE'
KEEP = """
WITH kept AS (
    INSERT INTO "order" AS known VALUES ($1, $2, $3)
    ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, document = excluded.document
    WHERE known.version = excluded.version - 1 RETURNING true
), booked AS (
    INSERT INTO ledger (order_id, version, account, amount_minor)
    SELECT $1, $2, account, amount FROM unnest($4::text[], $5::bigint[]) AS posting (account, amount)
), told AS (
    INSERT INTO notification (order_id, version, recipient, about)
    SELECT $1, $2, recipient, $6 FROM unnest($7::text[]) AS recipient
), cancelled AS (
    DELETE FROM timer WHERE order_id = $1 AND name = ANY ($8::text[])
), armed AS (
    INSERT INTO timer SELECT $1, name, now() + make_interval(secs => after)
    FROM unnest($9::text[], $10::float8[]) AS wanted (name, after)
    ON CONFLICT (order_id, name) DO UPDATE SET due_at = excluded.due_at
), answered AS (
    UPDATE command_log SET answer = $12 WHERE command_id = $11
)
SELECT count(*) FROM kept
"""
DUE = """
SELECT order_id, name, extract(epoch FROM due_at)::text AS due FROM timer
WHERE due_at <= now() ORDER BY due_at LIMIT $1
"""
ALLOWED: Mapping[str, tuple[str, Sequence[str | None]]] = {
    "order.place": ("platform", [None]),
    "order.ship": ("seller", ["awaiting_shipment"]),
    "dispute.open": ("buyer", ["shipped"]),
    "dispute.reject": ("seller", ["awaiting_seller"]),
    "dispute.escalate": ("buyer", ["negotiating"]),
    "mediation.ask": ("mediator", ["mediated"]),
    "mediation.answer": ("buyer or seller", ["asked"]),
    "mediation.decide": ("mediator", ["mediated"]),
    "dispute.waive_appeal": ("buyer or seller", ["decided"]),
    "processing_ends": ("system", ["awaiting_shipment"]),
    "protection_ends": ("system", ["shipped"]),
    "seller_is_silent": ("system", ["awaiting_seller"]),
    "negotiation_ends": ("system", ["negotiating"]),
    "answers_are_due": ("system", ["asked"]),
    "mediator_is_due": ("system", ["mediated", "asked"]),
    "appeal_ends": ("system", ["decided"]),
}
"""Command or timer -> whose it is, and in which states."""
TIMERS = [name for name, (role, _) in ALLOWED.items() if role == "system"]


class Refused(Exception):
    """With a code; it is answered, and nothing else happens."""


@dataclass
class Change:
    """What a command does besides changing the document. Postings are (account, minor units) and sum to zero."""

    postings: Sequence[tuple[str, int]] = ()
    told: Sequence[str] = ("buyer", "seller")
    timers: Mapping[str, float] = field(default_factory=dict)
    """Name -> seconds from now."""
    cancelled: Sequence[str] = ()


def decide(order: Document, command: Mapping[str, Any]) -> Change:
    """Changes the document. Raises Refused."""
    type_, actor = command["type"], command["actor"]
    role, (roles, states) = actor["role"], ALLOWED[type_]
    if role not in roles or (role in order.get("people", {}) and order["people"][role] != actor["id"]):
        raise Refused("not_allowed")
    if order.get("state") not in states:
        raise Refused("wrong_state")
    match type_:
        case "order.place":
            total = sum(line["amount_minor"] for line in command["lines"])
            if total <= 0 or total != command["payment"]["amount_minor"]:
                raise Refused("invalid")
            people = {"buyer": command["buyer"]["id"], "seller": command["seller"]["id"]}
            order |= {"state": "awaiting_shipment", "people": people, "total_minor": total, "lines": command["lines"]}
            return Change([("buyer", -total), ("escrow", total)], timers={"processing_ends": 7 * DAY})
        case "order.ship":
            order |= {"state": "shipped", "tracking_number": command["tracking_number"]}
            return Change(timers={"protection_ends": 60 * DAY}, cancelled=["processing_ends"])
        case "dispute.open":
            claimed = command["terms"]["refund_minor"]
            if not 0 < claimed <= order["total_minor"]:
                raise Refused("invalid")
            order |= {"state": "awaiting_seller", "claimed_minor": claimed, "claim": command["description"]}
            return Change(timers={"seller_is_silent": 15 * DAY}, cancelled=["protection_ends"])
        case "dispute.reject":
            order |= {"state": "negotiating", "rejection": command["message"]}
            return Change(timers={"negotiation_ends": 15 * DAY}, cancelled=["seller_is_silent"])
        case "dispute.escalate" | "negotiation_ends":
            order["state"] = "mediated"
            order["people"]["mediator"] = MEDIATORS[crc32(command["order_id"].encode()) % len(MEDIATORS)]
            return Change((), tuple(order["people"]), {"mediator_is_due": 10 * DAY}, ["negotiation_ends"])
        case "mediation.ask":
            order |= {"state": "asked", "question": command["question"], "answers": {}}
            return Change(timers={"answers_are_due": 7 * DAY})
        case "mediation.answer":
            if role in order["answers"]:
                raise Refused("wrong_state")
            order["answers"][role] = command["text"]
            if len(order["answers"]) < 2:
                return Change(told=tuple(order["people"]))
            order["state"] = "mediated"
            return Change(told=tuple(order["people"]), cancelled=["answers_are_due"])
        case "answers_are_due":
            order["state"] = "mediated"
            return Change(told=tuple(order["people"]))
        case "mediation.decide":
            if not 0 <= command["refund_minor"] <= order["claimed_minor"]:
                raise Refused("invalid")
            order |= {"state": "decided", "refund_minor": command["refund_minor"], "waived": []}
            order["rationale"] = command["rationale"]
            return Change((), tuple(order["people"]), {"appeal_ends": 7 * DAY}, ["mediator_is_due"])
        case "dispute.waive_appeal":
            if role in order["waived"]:
                raise Refused("wrong_state")
            order["waived"].append(role)
            return _pay_out(order, order["refund_minor"]) if len(order["waived"]) == 2 else Change()
        case "processing_ends":
            return _pay_out(order, order["total_minor"])
        case "protection_ends":
            return _pay_out(order, 0)
        case "seller_is_silent" | "mediator_is_due":
            return _pay_out(order, order["claimed_minor"])
        case _:
            return _pay_out(order, order["refund_minor"])


def _pay_out(order: Document, refund: int) -> Change:
    order |= {"state": "ended", "refund_minor": refund}
    legs = {"buyer": refund, "seller": order["total_minor"] - refund}
    postings = [("escrow", -order["total_minor"]), *((leg, minor) for leg, minor in legs.items() if minor)]
    return Change(postings, cancelled=TIMERS)


async def perform(pool: asyncpg.Pool, command: Mapping[str, Any], digest: bytes) -> str:
    """In one transaction; the same again changes nothing and has the same answer. Returns it: JSON."""
    id_, order_id = command["id"], command["order_id"]
    async with pool.acquire() as database, database.transaction():
        if not await database.fetchval(REMEMBER, id_, digest):
            known = await database.fetchrow(KNOWN, id_)
            return known["answer"] if known["digest"] == digest else _refusal("conflict")
        kept = await database.fetchval(LOOK, order_id)
        order: Document = json.loads(kept) if kept else {}
        try:
            change = decide(order, command)
        except Refused as refused:
            answer = _refusal(str(refused))
            await database.execute(ANSWER, id_, answer)
            return answer
        assert sum(minor for _, minor in change.postings) == 0
        order["version"] = order.get("version", 0) + 1
        answer = json.dumps({"state": order["state"], "mediator": order["people"].get("mediator")})
        accounts, amounts = [account for account, _ in change.postings], [minor for _, minor in change.postings]
        told, timers = [order["people"][role] for role in change.told], change.timers
        written = [order_id, order["version"], json.dumps(order), accounts, amounts, command["type"], told]
        written += [[*change.cancelled, *_own(command)], [*timers], [*timers.values()], id_, answer]
        if not await database.fetchval(KEEP, *written):
            raise asyncpg.SerializationError(f"{order_id} was placed by two at once")
        return answer


def _own(command: Mapping[str, Any]) -> list[str]:
    """The timer that gave it is gone."""
    return [command["type"]] if command["actor"]["role"] == "system" else []


def _refusal(code: str) -> str:
    return json.dumps({"refused": code})


async def _converse(pool: asyncpg.Pool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        answer = await perform(pool, json.loads(line), sha256(line).digest())
        writer.write(answer.encode() + b"\n")
    writer.close()


async def ring(pool: asyncpg.Pool) -> int:
    """Whatever is due is done, each once, for its instant is part of the command's id; how many there were."""
    due = await pool.fetch(DUE, TIMERS_AT_ONCE_MAX)
    for order_id, name, instant in due:
        command = {"id": f"{order_id}/{name}/{instant}", "order_id": order_id, "type": name}
        await perform(pool, command | {"actor": {"role": "system", "id": "timer"}}, b"")
    return len(due)


async def serve(database_url: str, port: int) -> None:
    async with asyncpg.create_pool(database_url, min_size=POOL, max_size=POOL) as pool:
        await pool.execute(TABLES)
        async with await asyncio.start_server(partial(_converse, pool), "127.0.0.1", port):
            while True:
                if await ring(pool) < TIMERS_AT_ONCE_MAX:
                    await asyncio.sleep(POLL_SECONDS)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
