"""Each viewer's projection of an order's history: what he sees, in whose words, and whose address never (§10, R38, C9)."""

import json
import re
from itertools import combinations
from typing import Any, get_args

import pytest

from deploy.memory import open_stage
from deploy.publish import models
from deploy.stories.book import STORIES
from deploy.stories.dialogue import Scene
from deploy.stories.seen import EVENT_TOPICS
from schemas.notification.shapes import RecipientRole, ToldRecipient
from schemas.publish import GOLDEN, is_public
from schemas.visibility import Viewer, history, in_words, may_see
from schemas.wire import Actor, Event
from services.notification.subscriptions import TOLD, recipients
from shared.kernel.ports import Record
from tests.domain.every_event import SEEN
from tests.domain.table import cells

VIEWERS: tuple[Viewer, ...] = get_args(Viewer)
EVENTS = {model.type: model for model in models() if issubclass(model, Event) and is_public(model)}

R38 = {
    ("processing", "buyer"): "processing",
    ("processing", "seller"): "processing",
    ("processing", "mediator"): "processing",
    ("waiting_buyer", "buyer"): "waiting my response",
    ("waiting_buyer", "seller"): "waiting the other party's response",
    ("waiting_buyer", "mediator"): "waiting the buyer's response",
    ("waiting_seller", "buyer"): "waiting the other party's response",
    ("waiting_seller", "seller"): "waiting my response",
    ("waiting_seller", "operator"): "waiting the seller's response",
    ("waiting_both", "buyer"): "waiting both parties' response",
    ("waiting_both", "seller"): "waiting both parties' response",
    ("waiting_both", "operator"): "waiting both parties' response",
    ("decided", "seller"): "decided",
    ("closed", "buyer"): "closed",
}


def sample(type_: str) -> Any:
    return EVENTS[type_].model_validate_json((GOLDEN / f"{type_}.json").read_text("utf-8"))


def projection(events: list[Event], viewer: Viewer) -> str:
    return json.dumps([[one.type, one.data] for one in history(events, viewer)])


@pytest.mark.parametrize(("type_", "_", "eyes"), [*cells(SEEN)])
def test_who_sees_what(type_: str, _: str, eyes: str) -> None:
    assert "".join(viewer[0] for viewer in VIEWERS if may_see(sample(type_), viewer)) == eyes


@pytest.mark.parametrize("type_", [type_ for type_ in EVENTS if type_.endswith(".rejected.v1")])
@pytest.mark.parametrize("role", ["buyer", "seller", "mediator", "operator", "platform", None])
def test_a_refusal_is_for_whoever_asked(type_: str, role: Any) -> None:
    refusal = sample(type_).model_copy(update={"actor": role and Actor(role=role, id="who")})

    assert {viewer for viewer in VIEWERS if may_see(refusal, viewer)} == {"operator", role} & set(VIEWERS)


@pytest.mark.parametrize("role", get_args(RecipientRole))
def test_what_is_said_of_a_letter_that_was_given_up_is_for_its_recipient(role: Any) -> None:
    letter = sample("notification.failed.v1")
    letter = letter.model_copy(
        update={"recipient": letter.recipient.model_copy(update={"role": role}), "visible_to": (role, "operator")}
    )

    assert {viewer for viewer in VIEWERS if may_see(letter, viewer)} == {role, "operator"}


BY_LETTER = ToldRecipient(role="buyer", id="bea", delivery_id="b1", channel="email", attempts=3)
TO_SHELF = ToldRecipient(role="buyer", id="bea", delivery_id="b2", channel="webhook", attempts=1, endpoint_id="shelf")
BY_WEBHOOK = ToldRecipient(role="seller", id="sam", delivery_id="s1", channel="webhook", attempts=2)
TO_TILL = ToldRecipient(role="seller", id="sam", delivery_id="s2", channel="webhook", attempts=1, endpoint_id="till")
BY_TOPIC = ToldRecipient(role="mediator", id="mia", delivery_id="m1", channel="topic", attempts=1)
TOLD_AT_ONCE = (BY_LETTER, TO_SHELF, BY_WEBHOOK, TO_TILL, BY_TOPIC)


@pytest.mark.parametrize("recipients", [some for count in range(1, 6) for some in combinations(TOLD_AT_ONCE, count)])
def test_of_who_was_told_each_is_shown_himself_and_operators_all(recipients: tuple[ToldRecipient, ...]) -> None:
    """Neither by what others are reached, nor where, nor how often it was tried, nor whether."""
    roles = dict.fromkeys(one.role for one in recipients)
    letter = sample("notification.sent.v1").model_copy(
        update={"recipients": recipients, "visible_to": (*roles, "operator")}
    )
    seen = {viewer: [one.data for one in history([letter], viewer)] for viewer in VIEWERS}
    assert seen["operator"] == [letter.model_dump(mode="json")]
    for role in get_args(RecipientRole):
        own = [one.model_dump(mode="json") for one in recipients if one.role == role]
        narrowed = letter.model_dump(mode="json") | {"recipients": own, "visible_to": [role, "operator"]}
        assert seen[role] == ([narrowed] if own else [])


@pytest.mark.parametrize("type_", EVENTS)
def test_an_address_reaches_nobody_but_its_owner_and_operators(type_: str) -> None:
    written = set(re.findall(r"\w+@example\.com", (GOLDEN / f"{type_}.json").read_text("utf-8")))

    for viewer, own in (("buyer", "bea@example.com"), ("seller", "sam@example.com"), ("mediator", "")):
        text = projection([sample(type_)], viewer)  # type: ignore[arg-type]
        assert set(re.findall(r"\w+@example\.com", text)) == written & {own if may_see(sample(type_), viewer) else ""}  # type: ignore[arg-type]
        assert not re.search('"(locale|time_zone)"', text) or own in text
    assert set(re.findall(r"\w+@example\.com", projection([sample(type_)], "operator"))) == written


def test_but_for_addresses_and_words_a_viewer_sees_the_event_as_it_is() -> None:
    placed, answered = sample("order.placed.v1"), sample("mediation.answered.v1")

    bought, replied = history([placed, answered], "seller")

    expected = json.loads(placed.model_dump_json())
    del expected["buyer"]["email"], expected["buyer"]["locale"], expected["buyer"]["time_zone"]
    assert (bought.type, bought.data) == (placed.type, expected)
    assert replied.data["evidence"][0]["uri"] == "https://files.example.com/e1.jpg"


@pytest.mark.rule("R38")
@pytest.mark.parametrize(("status", "viewer"), R38)
def test_each_viewer_has_his_own_name_for_where_a_case_stands(status: Any, viewer: Any) -> None:
    asked = sample("mediation.question_asked.v1").model_copy(update={"status": status})

    (seen,) = history([asked], viewer)

    assert seen.data["status"] == in_words(status, viewer) == R38[status, viewer]


@pytest.mark.rule("R49")
@pytest.mark.parametrize("model", TOLD, ids=lambda model: model.type)
def test_nobody_gets_a_letter_about_what_he_may_not_see(model: type[Event]) -> None:
    event = sample(model.type)

    assert all(may_see(event, role) for role in recipients(event))


@pytest.mark.rule("C9")
@pytest.mark.rule("R42")
async def test_no_thanks_and_addresses_leak_through_no_projection_of_the_story_that_has_them() -> None:
    stage, mails = await open_stage("aliexpress")
    scene = Scene(stage, "story-8")
    await STORIES[8].play(scene)
    logs = {where: log for where, log in stage.world.bus.logs.items() if where[0] in EVENT_TOPICS}
    orders = {record.key for log in logs.values() for record in log}
    assert {case.order_id.encode() for case in scene.cases} < orders, "and the roster of mediators"

    for taken in mails.taken:
        role, letter = taken.queued.recipient.role, f"{taken.letter} {taken.queued.facts}"
        assert "@" not in letter
        assert role != "seller" or not re.search("declin|no thanks", letter, re.IGNORECASE)
    assert {taken.queued.recipient.role for taken in mails.taken} == set(get_args(RecipientRole))

    for order in orders:
        records = [record for log in logs.values() for record in log if record.key == order]
        told = {viewer: history(said(records), viewer) for viewer in VIEWERS}
        text = {viewer: json.dumps([[one.type, one.data] for one in told[viewer]]) for viewer in VIEWERS}
        name = (order or b"").decode()
        buyer, seller = f"buyer-{name}@example.com", f"seller-{name}@example.com"
        assert seller not in text["buyer"]
        assert buyer not in text["seller"]
        for viewer in ("buyer", "seller", "mediator"):
            assert not re.search("mara@|noel@", text[viewer])
        assert "@" not in text["mediator"]
        assert not re.search("declin", text["seller"])
        if name == "mediators":
            assert not any(told[viewer] for viewer in VIEWERS if viewer != "operator")
            continue
        assert (buyer in text["buyer"], seller in text["seller"]) == (True, True)
        for viewer in ("buyer", "mediator", "operator"):
            assert "mediation.offer_declined.v1" in {one.type for one in told[viewer]}  # type: ignore[index]
        refused = {
            viewer: [one.data for one in told[viewer] if one.type.endswith(".rejected.v1")] for viewer in VIEWERS
        }
        assert [len(refused[viewer]) for viewer in VIEWERS] == [1, 0, 0, 1]


def said(records: list[Record]) -> list[Event]:
    types = [(dict(record.headers)["ce_type"] or b"").decode() for record in records]
    return [EVENTS[type_].read(record.value or b"") for type_, record in zip(types, records, strict=True)]
