"""Nobody is shown what is not his, in no field of no answer, and nobody learns of it that it is there."""

import json
import logging
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from schemas.catalogue import CONTRACT
from schemas.visibility import Viewer, may_see, view
from schemas.wire import Event
from services.casefile.shown.reading import Asked
from shared.kernel.codec import header
from tests.casefile.conftest import Counter
from tests.support.casefile import MARKUP, Quarrel

VIEWERS: tuple[Viewer, ...] = get_args(Viewer)
TELLING = 8
"""Characters of a text that can stand somewhere by no chance."""


def leaves(said: Any) -> Iterator[str]:
    match said:
        case dict():
            for part in said.values():
                yield from leaves(part)
        case list():
            for part in said:
                yield from leaves(part)
        case str():
            yield said


async def events(quarrel: Quarrel) -> list[tuple[str, Event]]:
    found = await quarrel.office.tables.find(quarrel.order_id)
    assert found is not None
    return [
        (header(record.headers, "ce_id") or "", model.read(record.value or b""))
        for record in found.records
        if (model := CONTRACT[header(record.headers, "ce_type") or ""]) and issubclass(model, Event)
    ]


async def secrets(quarrel: Quarrel, viewer: Viewer) -> set[str]:
    """What stands in events that he may not see, or in a part of them that he may not, and in none that he may."""
    hidden: set[str] = set()
    seen: set[str] = set()
    for id_, event in await events(quarrel):
        whole = {*leaves(event.model_dump(mode="json")), id_}
        shown = {*leaves(view(event, viewer).data), id_} if may_see(event, viewer) else set()
        hidden |= whole - shown
        seen |= shown
    return {one for one in hidden - seen if len(one) >= TELLING and not _is_common(one, seen)}


def _is_common(text: str, seen: set[str]) -> bool:
    """An instant, or a word of the contract's own."""
    return (
        text[:4].isdigit()
        or {text, f"{text}.v1"} & CONTRACT.keys() != set()
        or text.replace("_", "").isalpha()
        or any(text in one for one in seen)
    )


async def answers(counter: Counter, quarrel: Quarrel, asked: Asked, as_: Viewer | None = None) -> list[Any]:
    order = quarrel.order_id
    lowered = f"?as={as_}" if as_ else ""
    whose = f"?as={as_}&who={quarrel.who(as_).id}" if as_ else ""
    said = {"type": "mediation.ask", "data": {"question_id": "q9", "to": "both", "question": "When?"}}
    got = [
        await counter.get(asked, f"/v1/orders/{order}{lowered}"),
        await counter.get(asked, f"/v1/cases/{order}/d1{lowered}"),
        await counter.get(asked, f"/v1/cases{whose}"),
        await counter.get(asked, f"/v1/orders{whose}"),
        await counter.post(asked, f"/v1/cases/{order}/d1/preview{lowered}", said),
    ]
    refused = 403 if (as_ or asked.role) != "mediator" else 200
    assert [one.status for one in got] == [200, 200, 200, 200, refused]
    return [one.json for one in got]


@pytest.mark.rule("R42")
@pytest.mark.parametrize("viewer", VIEWERS)
async def test_no_field_of_any_answer_holds_what_is_not_for_him(looking: Counter, viewer: Viewer) -> None:
    drone = looking.drone
    kept = await secrets(drone, viewer)
    assert kept or viewer == "operator"
    asked = drone.who(viewer)
    for said in [*await answers(looking, drone, asked), *await answers(looking, drone, drone.who("operator"), viewer)]:
        told = [(leaf, secret) for leaf in leaves(said) for secret in kept if secret in leaf]
        assert not told, told[:3]


@pytest.mark.parametrize("viewer", ["buyer", "seller", "mediator"])
async def test_an_address_is_shown_to_its_owner_alone(looking: Counter, viewer: Viewer) -> None:
    drone = looking.drone
    shown = json.dumps(await answers(looking, drone, drone.who(viewer)))
    for party in ("buyer", "seller"):
        other = f"{drone.who(party).id}@example.com"
        assert party == viewer or other not in shown


async def test_the_secrets_of_this_walk_are_found_where_they_may_stand(looking: Counter) -> None:
    """Else the walk would find nothing anywhere."""
    kept = await secrets(looking.drone, "seller")
    shown = [*leaves(await answers(looking, looking.drone, looking.drone.who("operator")))]
    assert kept & {*shown}


@pytest.mark.parametrize("role", ["buyer", "seller", "mediator"])
async def test_what_is_not_his_and_what_is_not_there_are_one_answer(looking: Counter, role: Viewer) -> None:
    asked = looking.drone.who(role) if role != "mediator" else Asked("mediator", "nobody")
    theirs, nobody = looking.other.order_id, "no-such-order"
    ask = {"type": "dispute.message", "data": {"dispute_id": "d1", "text": "Hello?"}}
    for address in ("/v1/orders/{}", "/v1/cases/{}/d1", "/v1/orders/{}?as=" + role, "/v1/orders/{}/commands/drone-1/1"):
        one, other = [await looking.get(asked, address.format(order)) for order in (theirs, nobody)]
        assert (one.status, one.body, one.headers) == (other.status, other.body, other.headers)
        assert one.status == 404
    for address in ("/v1/orders/{}/preview", "/v1/cases/{}/d1/preview"):
        one, other = [await looking.post(asked, address.format(order), ask) for order in (theirs, nobody)]
        assert (one.status, one.body, one.headers) == (other.status, other.body, other.headers)
        assert one.status == 404


async def test_nothing_is_sent_about_an_order_that_is_not_his(looking: Counter) -> None:
    sent = len(looking.office.sender.sent)
    got = []
    for order_id in (looking.other.order_id, "no-such-order"):
        said = {"type": "order.confirm_receipt", "order_id": order_id, "data": {}}
        got.append(await looking.post(looking.drone.who("buyer"), "/v1/commands", said))
    assert [one.status for one in got] == [404, 404]
    assert got[0].body == got[1].body
    assert len(looking.office.sender.sent) == sent


@pytest.mark.parametrize("order_id", ["no\0such", "x" * 65, "with space", "%00", "ü"])
async def test_what_no_order_is_called_is_looked_for_nowhere(looking: Counter, order_id: str) -> None:
    asked = len(looking.office.tables.asked)
    got = await looking.get(looking.drone.who("operator"), f"/v1/orders/{order_id}")
    assert got.status == 404
    assert len(looking.office.tables.asked) == asked


@pytest.mark.parametrize("role", ["buyer", "seller", "mediator"])
@pytest.mark.parametrize("seen_as", VIEWERS)
async def test_only_an_operator_looks_through_the_eyes_of_others(
    looking: Counter, role: Viewer, seen_as: Viewer
) -> None:
    asked = looking.drone.who(role)
    for address in (
        f"/v1/orders/{looking.drone.order_id}",
        f"/v1/cases/{looking.drone.order_id}/d1",
        "/v1/cases",
        "/v1/orders",
    ):
        got = await looking.get(asked, f"{address}?as={seen_as}&who={looking.drone.who(seen_as).id}")
        assert got.status == (200 if seen_as == role else 403)


async def test_an_operator_sees_what_they_see(looking: Counter) -> None:
    drone = looking.drone
    for role in ("buyer", "seller", "mediator"):
        theirs = await looking.get(drone.who(role), f"/v1/cases/{drone.order_id}/d1")
        his = await looking.get(drone.who("operator"), f"/v1/cases/{drone.order_id}/d1?as={role}")
        assert theirs.json == his.json


async def test_a_list_through_the_eyes_of_somebody_names_him(looking: Counter) -> None:
    operator = looking.drone.who("operator")
    got = await looking.get(operator, "/v1/cases?as=buyer")
    assert (got.status, got.json["field"]) == (422, "who")
    named = await looking.get(operator, f"/v1/orders?as=buyer&buyer={looking.drone.who('buyer').id}")
    assert [row["order_id"] for row in named.json["items"]] == [looking.drone.order_id]


@pytest.mark.parametrize("viewer", VIEWERS)
async def test_lists_hold_what_is_his_alone(looking: Counter, viewer: Viewer) -> None:
    ours, theirs = looking.drone, looking.other
    asked = ours.who(viewer)
    expected = {ours.order_id} | (
        {theirs.order_id} if asked in (theirs.who(viewer), Asked("operator", "olga")) else set()
    )
    for address in ("/v1/cases", "/v1/orders", f"/v1/orders?buyer={theirs.who('buyer').id}"):
        got = await looking.get(asked, address)
        assert {row["order_id"] for row in got.json["items"]} <= expected
    assert {row["order_id"] for row in (await looking.get(asked, "/v1/orders")).json["items"]} == expected


async def test_an_operators_looks_are_logged_without_content(
    looking: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "services.casefile.front.desk")
    await looking.get(looking.drone.who("operator"), f"/v1/orders/{looking.drone.order_id}")
    await looking.get(looking.drone.who("buyer"), f"/v1/orders/{looking.drone.order_id}")
    (look,) = (vars(record) for record in caplog.records if record.name == "services.casefile.front.desk")
    assert (look["operator"], look["order"], look["seen_as"]) == ("olga", looking.drone.order_id, None)


async def test_markup_is_told_as_it_was_written_and_never_as_markup(looking: Counter) -> None:
    got = await looking.get(looking.drone.who("seller"), f"/v1/cases/{looking.drone.order_id}/d1")
    assert any(MARKUP in leaf for leaf in leaves(got.json))
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-content-type-options"] == "nosniff"
