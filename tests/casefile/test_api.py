"""What is asked over HTTP, and how it is answered."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from deploy.stories.claims import BROKEN
from deploy.stories.dialogue import Scene, refund
from schemas.instants import rfc3339
from services.casefile.front.desk import BEHIND_SECONDS_MAX
from services.casefile.front.working import UNDER_WAY_MAX
from services.casefile.shown.reading import Asked
from shared.kernel.codec import header
from tests.casefile.conftest import Counter
from tests.support.asking import ask

QUESTION = {"dispute_id": "d1", "question_id": "q1", "to": "both", "question": "When was the glass seen whole?"}


def on_the_bus(counter: Counter, topic: str) -> list[dict[str, Any]]:
    records = counter.office.stage.world.bus.records(topic)
    return [
        {"id": header(one.headers, "ce_id"), "headers": dict(one.headers), "data": json.loads(one.value or b"")}
        for one in records
    ]


async def test_a_command_is_on_the_bus_as_any_gateways_and_its_answer_is_awaited(counter: Counter) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    said = {"type": "mediation.ask", "order_id": counter.drone.order_id, "data": QUESTION, "id": "ask-1"}
    got = await counter.post(counter.drone.who("mediator"), "/v1/commands", said, prefer="wait=5", traceparent=trace)
    assert (got.status, got.json["status"], got.json["is_final"]) == (200, "answered", True)
    assert [one["type"] for one in got.json["answers"]][:1] == ["mediation.question_asked"]
    (sent,) = (one for one in on_the_bus(counter, "mediation.commands") if one["id"] == "ask-1")
    assert sent["data"] == {
        "order_id": counter.drone.order_id,
        "actor": {"role": "mediator", "id": counter.drone.mediator},
        **QUESTION,
    }
    headers = {name: value.decode() for name, value in sent["headers"].items()}
    assert headers == {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": "ask-1",
        "ce_type": "mediation.ask.v1",
        "ce_source": "recourse/casefile",
        "traceparent": trace,
    }


async def test_without_waiting_it_says_where_its_answer_will_be(counter: Counter) -> None:
    said = {"type": "mediation.ask.v1", "order_id": counter.drone.order_id, "data": QUESTION}
    mediator = counter.drone.who("mediator")
    got = await counter.post(mediator, "/v1/commands", said)
    assert (got.status, got.json["status"], got.json["answers"]) == (202, "pending", [])
    answer = await counter.get(mediator, got.headers["location"])
    assert (answer.status, answer.json["status"]) == (200, "answered")
    assert answer.json["command_id"] == got.json["command_id"]


async def test_an_answer_that_is_not_final_is_waited_on(counter: Counter) -> None:
    """A claim is first requested, and opened when the order service has said so."""
    lamp = await Scene(counter.office.stage, "lamp").disputable_order(lamp=10_00)
    claim = {"dispute_id": "d1", "terms": refund(10_00), **BROKEN}
    said = {"type": "dispute.open", "order_id": lamp.order_id, "data": claim}
    got = await counter.post(Asked("buyer", lamp.buyer.id), "/v1/commands", said, prefer="wait=5")
    assert (got.status, got.json["is_final"]) == (200, True)
    assert [one["type"] for one in got.json["answers"]] == ["dispute.requested", "dispute.opened"]


@pytest.mark.rule("R81")
async def test_the_same_id_again_is_the_same_command(counter: Counter) -> None:
    for place in ({"id": "ask-1"}, {}):
        said = {"type": "mediation.ask", "order_id": counter.drone.order_id, "data": QUESTION, **place}
        header_ = {} if place else {"idempotency-key": "ask-1"}
        got = await counter.post(counter.drone.who("mediator"), "/v1/commands", said, prefer="wait=5", **header_)
        assert (got.status, got.json["status"]) == (200, "answered")
        assert got.json["command_id"] == "ask-1"
    asked = [
        one
        for one in on_the_bus(counter, "mediation.events")
        if one["headers"]["ce_type"] == b"mediation.question_asked.v1"
    ]
    assert len(asked) == 1


async def test_two_ids_are_one_too_many(counter: Counter) -> None:
    said = {"type": "mediation.ask", "order_id": counter.drone.order_id, "data": QUESTION, "id": "one"}
    got = await counter.post(counter.drone.who("mediator"), "/v1/commands", said, **{"idempotency-key": "two"})
    assert (got.status, got.json["field"]) == (422, "id")


async def test_a_refusal_by_the_services_is_an_answer(counter: Counter) -> None:
    got = await counter.send("mediator", "mediation.ask", QUESTION | {"dispute_id": "d7"})
    assert (got.status, got.json["status"], got.json["why"]["code"]) == (200, "refused", "not_found")


async def test_who_acts_is_who_is_signed_in_whatever_the_body_says(counter: Counter) -> None:
    for beside in ({"actor": {"role": "operator", "id": "olga"}}, {"order_id": counter.other.order_id}):
        got = await counter.send("mediator", "mediation.ask", QUESTION | beside)
        assert (got.status, got.json["field"]) == (422, next(iter(beside)))
    said = {"type": "mediation.ask", "order_id": counter.drone.order_id, "data": QUESTION, "actor": {}}
    got = await counter.post(counter.drone.who("mediator"), "/v1/commands", said)
    assert (got.status, got.json["field"]) == (422, "actor")


@pytest.mark.parametrize(
    ("role", "type_"),
    [
        ("buyer", "mediation.decide"),
        ("seller", "refund.resolve"),
        ("operator", "mediation.decide"),
        ("mediator", "order.cancel"),
        ("operator", "order.place"),
    ],
)
async def test_what_nobody_of_his_role_says_is_not_sent(looking: Counter, role: Any, type_: str) -> None:
    sent = len(looking.office.sender.sent)
    got = await looking.send(role, type_, {})
    expected = 422 if type_ == "order.place" else 403  # that only the platform says, which nobody here is
    assert (got.status, got.json["field"]) == (expected, "type")
    assert len(looking.office.sender.sent) == sent


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"type": "mediation.asks"}, "type"),
    ({"type": "timer.schedule"}, "type"),
    ({"type": "mediation.question_asked"}, "type"),
    ({"data": QUESTION | {"to": "everybody"}}, "to"),
    ({"data": QUESTION | {"question": ""}}, "question"),
    ({"data": QUESTION | {"question": "NUL \0"}}, "question"),
    ({"data": QUESTION | {"question": "\ud800"}}, "data"),
    ({"data": QUESTION | {"unknown": 1}}, "unknown"),
    ({"data": {}}, "dispute_id"),
    ({"data": []}, "data"),
    ({"order_id": "no such id"}, "order_id"),
    ({"order_id": 5}, "order_id"),
    ({"id": ""}, "id"),
    ({"id": "x" * 256}, "id"),
    ({"id": "ü" * 200}, "id"),
    ({"id": "\n"}, "id"),
]


@pytest.mark.parametrize(("changes", "field"), WRONG, ids=lambda one: str(one)[:40])
async def test_what_is_wrong_is_named_and_not_sent(looking: Counter, changes: dict[str, Any], field: str) -> None:
    sent = len(looking.office.sender.sent)
    said = {"type": "mediation.ask", "order_id": looking.drone.order_id, "data": QUESTION} | changes
    got = await looking.post(looking.drone.who("mediator"), "/v1/commands", said)
    assert (got.status, got.json["field"]) == (422, field)
    assert got.headers["content-type"] == "application/problem+json"
    assert got.json["title"]
    assert got.json["detail"].endswith(".")
    assert len(looking.office.sender.sent) == sent


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"\xff", b"[" * 100_000, b'{"data":' * 20_000, b"9" * 5_000, b'"' + b"x" * 1000 + b'"'],
)
async def test_what_is_no_json_is_no_crash(looking: Counter, body: bytes) -> None:
    headers = looking.bearer(looking.drone.who("mediator")) | {"content-type": "application/json"}
    for address in ("/v1/commands", f"/v1/orders/{looking.drone.order_id}/preview"):
        got = await ask(looking.app, "POST", address, headers, body=body)
        assert got.status in (400, 422)
        assert got.headers["content-type"] == "application/problem+json"


async def test_where_the_bus_is_away_he_is_told_to_send_it_again(counter: Counter) -> None:
    counter.office.sender.is_away = True
    got = await counter.send("mediator", "mediation.ask", QUESTION)
    assert got.status == 503
    assert int(got.headers["retry-after"]) > 0


async def test_a_preview_sends_nothing(looking: Counter) -> None:
    sent = len(looking.office.sender.sent)
    wish = {"type": "mediation.ask", "data": {"question_id": "q1", "to": "both", "question": "When?"}}
    mediator = looking.drone.who("mediator")
    of_case = await looking.post(mediator, f"/v1/cases/{looking.drone.order_id}/d1/preview", wish)
    assert (of_case.status, of_case.json["answer"]) == (200, "mediation.question_asked")
    with_id = {**wish, "data": {**wish["data"], "dispute_id": "d1"}}  # type: ignore[dict-item]
    of_order = await looking.post(mediator, f"/v1/orders/{looking.drone.order_id}/preview", with_id)
    assert of_order.json == of_case.json
    assert len(looking.office.sender.sent) == sent


async def test_a_preview_of_another_dispute_than_the_addresses_is_none(looking: Counter) -> None:
    wish = {"type": "mediation.ask", "data": QUESTION | {"dispute_id": "d2"}}
    got = await looking.post(looking.drone.who("mediator"), f"/v1/cases/{looking.drone.order_id}/d1/preview", wish)
    assert (got.status, got.json["field"]) == (422, "dispute_id")


async def test_an_operator_previews_a_decision_as_its_mediator(looking: Counter) -> None:
    wish = {"type": "mediation.ask", "data": {"question_id": "q1", "to": "both", "question": "When?"}}
    address = f"/v1/cases/{looking.drone.order_id}/d1/preview"
    assert (await looking.post(looking.drone.who("operator"), address, wish)).status == 403
    assert (await looking.post(looking.drone.who("operator"), f"{address}?as=mediator", wish)).status == 200


async def test_every_answer_says_how_far_it_has_read(looking: Counter) -> None:
    operator, order = looking.drone.who("operator"), looking.drone.order_id
    for address in ("/v1/cases", "/v1/orders", f"/v1/orders/{order}", f"/v1/cases/{order}/d1"):
        got = await looking.get(operator, address)
        assert got.json["as_of"]["records"]["mediation.events"] > 0
        assert got.headers["etag"].startswith('W/"')


async def test_another_record_is_another_etag(counter: Counter) -> None:
    operator, address = counter.drone.who("operator"), f"/v1/orders/{counter.drone.order_id}"
    before, again = [(await counter.get(operator, address)).headers["etag"] for _ in range(2)]
    assert before == again
    await counter.send("mediator", "mediation.ask", QUESTION)
    assert (await counter.get(operator, address)).headers["etag"] != before


@pytest.mark.parametrize(
    "address", ["/v1/cases", "/v1/orders", "/v1/orders/drone-1", "/v1/cases/drone-1/d1", "/v1/orders/no-such"]
)
async def test_what_is_too_far_behind_is_not_shown(counter: Counter, address: str) -> None:
    counter.office.tables.behind_seconds = BEHIND_SECONDS_MAX
    assert (await counter.get(counter.drone.who("operator"), address)).status in (200, 404)
    counter.office.tables.behind_seconds = BEHIND_SECONDS_MAX + 1
    got = await counter.get(counter.drone.who("operator"), address)
    assert got.status == 503
    assert int(got.headers["retry-after"]) > 0
    assert "31 seconds" in got.json["detail"]


async def test_a_command_is_sent_however_far_behind_the_tables_are(counter: Counter) -> None:
    counter.office.tables.behind_seconds = 3_600
    got = await counter.send("mediator", "mediation.ask", QUESTION, wait=0)
    assert got.status == 202
    stranger = {"type": "mediation.ask", "order_id": "placed-just-now", "data": QUESTION}
    assert (await counter.post(counter.drone.who("mediator"), "/v1/commands", stranger)).status == 503


async def test_where_the_database_is_away_it_says_so(counter: Counter) -> None:
    counter.office.tables.is_away = True
    for address in ("/v1/cases", "/v1/orders/drone-1"):
        assert (await counter.get(counter.drone.who("operator"), address)).status == 503


async def test_a_list_is_read_page_by_page(looking: Counter) -> None:
    operator = looking.drone.who("operator")
    for address in ("/v1/cases", "/v1/orders"):
        whole = (await looking.get(operator, address)).json["items"]
        assert len(whole) == 2
        read, cursor = [], None
        for _ in whole:
            page = (await looking.get(operator, f"{address}?limit=1" + (f"&cursor={cursor}" if cursor else ""))).json
            read += page["items"]
            cursor = page["next"]
        assert (read, cursor) == (whole, None)


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "as=nobody", "claimed_from_minor=-1", "is_appeal=perhaps"),
        *("cursor=x", "cursor=W10", "cursor=%00", "cursor=" + "a" * 600, "mediator=%00", "mediator=" + "x" * 200),
        *("due_before=5", "due_before=2026-01-01T00:00:00", "due_before=9999-12-31T23:59:59Z"),
    ],
)
async def test_a_list_that_cannot_be_meant_is_not_guessed_at(looking: Counter, query: str) -> None:
    got = await looking.get(looking.drone.who("operator"), f"/v1/cases?{query}")
    assert (got.status, got.json["field"]) == (422, query.partition("=")[0])


FILTERS: list[tuple[str, Callable[[Any], bool]]] = [
    ("mediator=nobody", lambda row: False),
    ("mediator=-", lambda row: False),
    ("waiting_for=mediator", lambda row: True),
    ("waiting_for=buyer", lambda row: False),
    ("due_before=2026-01-01T00:00:00Z", lambda row: False),
    ("due_before=2027-01-01T00:00:00%2B01:00", lambda row: True),
    ("claimed_from_minor=25000", lambda row: True),
    ("claimed_from_minor=25001", lambda row: False),
    ("is_appeal=true", lambda row: False),
]


@pytest.mark.parametrize(("query", "stays"), FILTERS, ids=[query for query, _ in FILTERS])
async def test_a_list_is_filtered(looking: Counter, query: str, stays: Callable[[Any], bool]) -> None:
    operator = looking.drone.who("operator")
    whole = (await looking.get(operator, "/v1/cases")).json["items"]
    got = (await looking.get(operator, f"/v1/cases?{query}")).json["items"]
    assert got == [row for row in whole if stays(row)]


@pytest.mark.rule("R38")
async def test_where_a_case_stands_is_said_in_the_viewers_words(counter: Counter) -> None:
    await counter.send("mediator", "mediation.ask", QUESTION | {"to": "buyer"})
    told = {}
    for role in ("buyer", "seller", "mediator"):
        rows = (await counter.get(counter.drone.who(role), "/v1/cases")).json["items"]
        told[role] = next(row["status"] for row in rows if row["order_id"] == counter.drone.order_id)
    assert told == {
        "buyer": "waiting my response",
        "seller": "waiting the other party's response",
        "mediator": "waiting the buyer's response",
    }


async def test_an_instant_to_come_is_not_shown_as_if_it_were(looking: Counter) -> None:
    operator, order = looking.drone.who("operator"), looking.drone.order_id
    now = looking.office.stage.world.bus.now
    past = await looking.get(operator, f"/v1/orders/{order}?at={rfc3339(now)}")
    assert (past.status, past.json["at"]) == (200, rfc3339(now))
    got = await looking.get(operator, f"/v1/orders/{order}?at=2099-01-01T00:00:00Z")
    assert (got.status, got.json["field"]) == (422, "at")


async def test_an_answer_is_worked_out_once_until_something_is_said(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked = 0
    done = counter.office.desk.workers.done

    async def counted(work: Callable[[], Any]) -> Any:
        nonlocal worked
        worked += 1
        return await done(work)

    monkeypatch.setattr(counter.office.desk.workers, "done", counted)
    operator, order = counter.drone.who("operator"), counter.drone.order_id
    for _ in range(3):
        await counter.get(operator, f"/v1/orders/{order}")
    assert worked == 1
    for address in (f"/v1/orders/{order}?as=buyer", f"/v1/cases/{order}/d1", f"/v1/orders/{counter.other.order_id}"):
        await counter.get(operator, address)
    assert worked == 4
    await counter.get(operator, f"/v1/orders/{order}", **{"accept-language": "de, en;q=0.5"})
    assert worked == 5
    await counter.send("mediator", "mediation.ask", QUESTION, wait=0)
    await counter.get(operator, f"/v1/orders/{order}")
    assert worked == 6


async def test_more_than_can_be_worked_out_is_sent_away_and_nothing_else_waits(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    monkeypatch.setattr("services.casefile.front.desk.show_order", lambda *_: (held.wait(30), None)[1])
    operator = counter.drone.who("operator")
    now, order = counter.office.stage.world.bus.now, counter.drone.order_id
    instants = [rfc3339(now - timedelta(milliseconds=number)) for number in range(UNDER_WAY_MAX + 5)]
    asking = [asyncio.create_task(counter.get(operator, f"/v1/orders/{order}?at={at}")) for at in instants]
    try:
        busy = [await one for _, one in zip(range(5), asyncio.as_completed(asking), strict=False)]
        assert {(one.status, one.headers["retry-after"]) for one in busy} == {(503, "1")}
        assert (await counter.get(operator, "/v1/cases")).status == 200  # the loop is free
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    finally:
        held.set()
    assert (await counter.get(operator, f"/v1/orders/{order}")).status == 404  # there is room again


async def test_a_bug_is_told_to_nobody_but_the_log(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("bea@example.com")

    monkeypatch.setattr("services.casefile.front.desk.show_order", broken)
    caplog.set_level(logging.ERROR)
    said = []

    async def once(scope: Any, receive: Any, send: Any) -> None:
        try:
            await counter.app(scope, receive, send)
        except RuntimeError as error:  # the server logs it
            said.append(error)

    got = await ask(once, "GET", "/v1/orders/drone-1", counter.bearer(counter.drone.who("operator")))
    assert (got.status, len(said)) == (500, 1)
    assert b"bea" not in got.body
    assert got.headers["content-security-policy"]
