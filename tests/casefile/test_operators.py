"""What operators ask over HTTP and do there: nobody else does, nothing is done that was not looked at, all is kept."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI

from schemas.instants import from_ms, rfc3339
from services.casefile.books.ledger_api import ledger_router
from services.casefile.front.http import application
from services.casefile.operating.planning import Planner
from services.casefile.operating.stuck import StuckRow
from services.casefile.operating.stuck_api import OperatorsDesk, stuck_router
from services.casefile.shown.reading import Asked
from shared.runtime.memory import START
from tests.casefile.conftest import Counter
from tests.support.asking import Answer, ask
from tests.support.operators import MemoryLedgerTables, MemoryOwnTables, MemoryRawBus, MemoryStuckTables

OLGA = Asked("operator", "olga")
GARBAGE = [("ce_type", b"order.ship.v1"), ("x-own", b"1")]
NOBODY = "http://127.0.0.1:9"
"""Where nothing listens."""


@dataclass(frozen=True)
class Office:
    counter: Counter
    ledger: MemoryLedgerTables
    stuck: MemoryStuckTables
    own: MemoryOwnTables
    app: FastAPI

    async def ask(
        self, who: Asked, method: str, address: str, said: object = None, body: bytes = b"", **headers: str
    ) -> Answer:
        return await ask(self.app, method, address, self.counter.bearer(who) | headers, body, said)

    async def get(self, address: str, **headers: str) -> Answer:
        return await self.ask(OLGA, "GET", address, None, b"", **headers)

    async def post(self, address: str, said: Mapping[str, Any]) -> Answer:
        return await self.ask(OLGA, "POST", address, said)


@pytest.fixture
def office(counter: Counter) -> Office:
    tables, sender = counter.office.tables, counter.office.sender
    ledger, stuck = MemoryLedgerTables(tables, counter.office.stage.world.policies), MemoryStuckTables(tables)
    own = MemoryOwnTables(stuck)
    planner = Planner(stuck, own, sender, MemoryRawBus(tables))
    desk = OperatorsDesk(stuck, own, tables, planner, {"refund": NOBODY})
    app = application(counter.office.desk, counter.signin, [ledger_router(ledger), stuck_router(desk)])
    return Office(counter, ledger, stuck, own, app)


ASKED = [
    ("GET", "/v1/ledger/entries", None),
    ("GET", "/v1/ledger/balances", None),
    ("GET", "/v1/ledger/statement?day=2026-03-02", None),
    ("GET", "/v1/stuck", None),
    ("GET", "/v1/stuck/counts", None),
    ("GET", "/v1/audit", None),
    ("POST", "/v1/plans", {"what": "redrive"}),
    ("POST", "/v1/plans/apply", {"what": "redrive", "token": "x", "why": "y"}),
]


@pytest.mark.parametrize(("method", "address", "said"), ASKED)
async def test_operators_alone_ask(office: Office, method: str, address: str, said: object) -> None:
    for role in ("buyer", "seller", "mediator"):
        assert (await office.ask(office.counter.drone.who(role), method, address, said)).status == 403
    assert (await ask(office.app, method, address, said=said)).status == 401
    assert (await office.ask(OLGA, method, address, said)).status in (200, 422)


@pytest.mark.parametrize(("method", "address", "said"), ASKED)
async def test_what_is_too_old_or_away_is_not_shown_as_what_is(
    office: Office, method: str, address: str, said: object
) -> None:
    tables = office.counter.office.tables
    tables.behind_seconds = 31.0
    if address != "/v1/audit":
        assert (await office.ask(OLGA, method, address, said)).status == 503
    tables.is_away = True
    assert (await office.ask(OLGA, method, address, said)).status == 503


async def test_entries_are_listed_page_by_page_and_as_csv(office: Office) -> None:
    booked = [one.entry_id for one in office.ledger.all()]
    assert len(booked) >= 2
    got = await office.get("/v1/ledger/entries?limit=1")
    assert got.json["items"][0]["event_type"] == "refund.captured.v1"
    assert got.json["items"][0]["booked_at"].endswith("Z")
    found = [one["entry_id"] for one in got.json["items"]]
    while got.json["next"]:
        got = await office.get(f"/v1/ledger/entries?limit=1&cursor={got.json['next']}")
        found += [one["entry_id"] for one in got.json["items"]]
    assert found == booked

    as_csv = await office.get("/v1/ledger/entries?limit=1&account=buyers", accept="text/csv")
    assert as_csv.headers["content-type"].startswith("text/csv")
    header, *rows = csv.reader(io.StringIO(as_csv.body.decode(), newline=""))
    assert [dict(zip(header, row, strict=True))["entry_id"] for row in rows] == booked[:1]
    link = as_csv.headers["link"]
    assert link.endswith('>; rel="next"')
    following = await office.get(link[1:].partition(">")[0], accept="text/csv")
    assert booked[1] in following.body.decode()
    assert booked[0] not in following.body.decode()


async def test_the_longest_accounts_and_references_can_be_asked_for(office: Office) -> None:
    for query in ({"account": f"buyer:{'b' * 128}"}, {"reference": "r\u00e9f " * 50}):
        assert (await office.get(f"/v1/ledger/entries?{urlencode(query)}")).json["items"] == []


async def test_a_day_closes_with_what_it_opened_with_and_what_moved(office: Office) -> None:
    first = office.ledger.all()[0].booked_at
    got = await office.get(f"/v1/ledger/statement?day={first.date()}")
    lines = got.json["lines"]
    assert {line["account_class"] for line in lines} == {"buyers", "escrow"}
    assert sum(line["closing_minor"] for line in lines) == 0
    assert all(one["opening_minor"] + one["came_minor"] - one["left_minor"] == one["closing_minor"] for one in lines)
    balances = await office.get("/v1/ledger/balances?at=" + rfc3339(office.ledger.all()[-1].booked_at))
    assert {one["account_class"]: one["balance_minor"] for one in balances.json["balances"]} == {
        line["account_class"]: line["closing_minor"] for line in lines
    }


async def test_a_banks_file_is_compared_with_the_days_that_it_is_of(office: Office) -> None:
    first, second = office.ledger.all()[:2]
    content = (
        f"reference,amount_minor,date,currency\n{first.payment_id},{first.amount_minor},{first.booked_at.date()},EUR\n"
    )
    content += f"stranger,1,{first.booked_at.date()},EUR\n,1,{first.booked_at.date()},EUR\n"
    csv_ = {"content-type": "text/csv"}
    got = await office.ask(OLGA, "POST", "/v1/ledger/match", body=content.encode(), **csv_)
    assert got.status == 200, got.body
    assert [one["reference"] for one in got.json["matched"]] == [first.payment_id]
    assert [one["reference"] for one in got.json["only_there"]] == ["stranger"]
    assert second.entry_id in [one["entry_id"] for one in got.json["only_here"]]
    assert got.json["refused"] == [{"line": 4, "problem": "It has no reference."}]
    for wrong in (b"", b"a,b\n1,2", b"\xff", b"reference,amount,date\n"):
        assert (await office.ask(OLGA, "POST", "/v1/ledger/match", body=wrong, **csv_)).status == 422
    seller = office.counter.drone.who("seller")
    assert (await office.ask(seller, "POST", "/v1/ledger/match", body=content.encode(), **csv_)).status == 403


@pytest.mark.parametrize(
    "address",
    [
        *(f"/v1/ledger/statement?day={day}" for day in ("2026-02-30", "9999-12-31", "today", "0000-01-01")),
        *(f"/v1/ledger/entries?{one}" for one in ("limit=0", "limit=201", "from=1", "cursor=x%20y", "account=%00")),
        *("/v1/ledger/balances?at=9999-01-01T00:00:00.000Z", "/v1/ledger/balances?at=2026-03-01"),
        *("/v1/stuck?limit=201", "/v1/audit?before=0", "/v1/audit?order_id=%20", "/v1/ledger/statement"),
    ],
)
async def test_bad_questions_are_refused_in_a_sentence(office: Office, address: str) -> None:
    got = await office.get(address)
    assert got.status == 422
    assert got.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "said",
    [
        *({name: "\0"} for name in ("topic", "reason", "id", "service")),
        *(
            {"what": "reassign", **who}
            for who in ({"mediator": "\0", "to": ["mara"]}, {"mediator": "mara", "to": ["ü"]})
        ),
        {"why": "\0"},
        {"why": ""},
    ],
    ids=str,
)
async def test_a_plan_of_what_nobody_could_be_called_is_refused(office: Office, said: dict[str, object]) -> None:
    """Nothing of it is done, and so nothing is audited: no database takes these words."""
    wanted = {"what": "redrive", "token": "x", "why": "y", **said}
    got = await office.post("/v1/plans/apply", wanted)
    assert got.status == 422
    assert got.json["field"].split(".")[0] in said


async def test_the_earliest_instants_are_answered(office: Office) -> None:
    for at in ("0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000+14:00"):
        got = await office.ask(OLGA, "GET", "/v1/ledger/balances?at=" + at.replace("+", "%2B"))
        assert got.status in (200, 422)


async def test_what_is_stuck_names_what_frees_it_and_services_that_do_not_answer(office: Office) -> None:
    office.stuck.rows += [
        StuckRow("parked", "o1", START, "refund/o1", "parked: KeyError", {"service": "refund"}),
        StuckRow("manual_review", "o2", START, "k", "no_answer", {"settlement_id": "o2.s1", "leg": "refund"}),
        StuckRow("manual_review", "o3", START, "k", "unasked", {"settlement_id": "unasked-1", "leg": "unasked"}),
    ]
    got = await office.get("/v1/stuck")
    silent, *rows = got.json["items"]
    assert (silent["kind"], silent["about"]["service"]) == ("shard_refused", "refund")
    assert silent["sentence"] == "It does not answer."
    assert [one["act"]["type"] for one in rows] == ["refund.resume.v1", "refund.retry.v1", "refund.acknowledge.v1"]
    line = 'recourse send refund.retry.v1 \'{"settlement_id":"o2.s1","leg":"refund"}\' --order o2'
    assert rows[1]["command_line"] == line
    assert (await office.get("/v1/stuck/counts")).json["counts"] == {"parked": 1, "manual_review": 2}
    assert [one["order_id"] for one in (await office.get("/v1/stuck?kind=parked")).json["items"]] == ["o1"]


async def test_a_redriven_dead_letter_is_handled_as_if_it_came_now(office: Office) -> None:
    world = office.counter.office.stage.world
    order_id = office.counter.drone.order_id
    world.bus.append("order.commands", order_id.encode(), b'{"a": 1}', GARBAGE)
    await world.settle()
    (letter,) = world.bus.records("order.dead-letters")
    assert (await office.get("/v1/audit")).json["items"] == []
    after = {"what": "redrive", "since": rfc3339(from_ms(letter.timestamp + 1))}
    assert (await office.post("/v1/plans", after)).json["steps"] == []
    plan = (await office.post("/v1/plans", {"what": "redrive", "reason": "no_ce_id"})).json
    assert [(step["order_id"], step["done"]) for step in plan["steps"]] == [(order_id, None)]
    assert len([*world.bus.records("order.dead-letters")]) == 1

    said = {"what": "redrive", "reason": "no_ce_id", "token": plan["token"], "why": "To see it again."}
    assert (await office.ask(Asked("operator", "otto"), "POST", "/v1/plans/apply", said)).status == 422
    done = await office.post("/v1/plans/apply", said)
    assert [step["done"] for step in done.json["steps"]] == [True]
    await world.settle()
    came = [one for one in world.bus.records("order.commands") if one.value == b'{"a": 1}']
    assert [(one.key, list(one.headers)) for one in came] == [(order_id.encode(), GARBAGE)] * 2
    assert len([*world.bus.records("order.dead-letters")]) == 2, "it is as wrong as it was"
    (kept,) = (await office.get("/v1/audit")).json["items"]
    assert (kept["operator"], kept["what"], kept["why"]) == ("olga", "redrive", "To see it again.")
    assert (await office.post("/v1/plans/apply", said)).status == 422, "the list is another one by now"
    assert letter.offset == 0


async def test_nothing_is_done_that_cannot_be_kept(office: Office) -> None:
    world = office.counter.office.stage.world
    world.bus.append("order.commands", b"o1", b"{}", GARBAGE)
    await world.settle()
    plan = (await office.post("/v1/plans", {"what": "redrive"})).json
    before = len([*world.bus.records("order.commands")])
    office.own.is_away = True
    said = {"what": "redrive", "token": plan["token"], "why": "…"}
    assert (await office.post("/v1/plans/apply", said)).status == 503
    assert len([*world.bus.records("order.commands")]) == before


async def test_notes_are_for_operators_and_the_mediators_of_the_case(office: Office) -> None:
    drone, other = office.counter.drone, office.counter.other
    address = f"/v1/cases/{drone.order_id}/d1/notes"
    mediator = drone.who("mediator")
    assert (await office.ask(mediator, "POST", address, {"text": "<b>He has called.</b>"})).status == 200
    assert (await office.ask(OLGA, "POST", address, {"text": "Good."})).status == 200
    got = await office.ask(mediator, "GET", address)
    assert [(one["role"], one["text"]) for one in got.json["items"]] == [
        ("mediator", "<b>He has called.</b>"),
        ("operator", "Good."),
    ]
    for role in ("buyer", "seller"):
        for method, said in (("GET", None), ("POST", {"text": "Let me in."})):
            assert (await office.ask(drone.who(role), method, address, said)).status == 403
    stranger = Asked("mediator", "nobody")
    assert (await office.ask(stranger, "GET", address)).status == 404
    assert (await office.ask(OLGA, "GET", f"/v1/cases/{other.order_id}/d9/notes")).status == 404
    assert (await office.ask(OLGA, "GET", "/v1/cases/none/d1/notes")).status == 404
    for text in ("", "x" * 4_001, "\x00"):
        assert (await office.ask(OLGA, "POST", address, {"text": text})).status == 422
