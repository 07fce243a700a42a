"""People's own webhooks: who is looked up, which deliveries that makes, and how each ends (R74)."""

import json
from typing import Any, get_args

import pytest
from pydantic import SecretStr, ValidationError

from schemas.notification.commands import NotificationResend
from schemas.notification.events import (
    LookedUp,
    LookupQueued,
    NotificationFailed,
    NotificationResent,
    NotificationSent,
    Postponed,
    Queued,
    Taken,
    WebhookQueued,
)
from schemas.notification.shapes import Recipient, RecipientRole
from schemas.people import OWN_WEBHOOKS_MAX, Person
from schemas.visibility import view
from schemas.wire import Actor, Event, Message
from services.notification.app import NotificationSettings, _decider
from services.notification.domain import DECIDER, TOPIC_ONLY, Attempted, decider
from services.notification.policy import ATTEMPTS_MAX
from services.notification.subscriptions import SUBSCRIPTIONS
from services.notification.webhooks import body, own_secret
from shared.kernel.stream import refold
from tests.domain.notification_samples import ORDER, SAMPLES, placed
from tests.domain.table import Desk, cells
from tests.domain.test_notification_webhooks import BOTH_CHANNELS, NO_URLS, SECRET, URLS

pytestmark = pytest.mark.rule("R74")

OWN = decider(mail=False, own_webhooks=True)
HEARD = {name: event for name, event in SAMPLES.items() if isinstance(event, SUBSCRIPTIONS)}
FOUND: dict[str, dict[str, Any]] = {
    "none": {"problem": "no_address", "final": True},
    "unknown": {"problem": "no_address"},
    "one": {"endpoint_ids": ("a",)},
    "several": {"endpoint_ids": ("b", "a")},
    "outage": {"problem": "unreachable"},
    "taken": {},
    "gone": {"problem": "no_address", "final": True},
    "busy": {"problem": "refused", "http_status": 503},
    "410": {"problem": "refused", "http_status": 410, "final": True},
    "private": {"problem": "bad_address"},
}
LOOKING_UP = """
                none  unknown    one  several  outage
first_attempt   end   postponed  a    b+a      postponed
third_attempt   end   postponed  a    b+a      postponed
fourth_attempt  end   end        a    b+a      postponed
last_attempt    end   end        a    b+a      failed
"""
"""What comes of a look-up: the endpoints to which a delivery is queued, or that nothing is owed (`end`)."""
SENDING = """
                taken  gone  unknown    busy       410     private    outage
first_attempt   taken  end   postponed  postponed  failed  postponed  postponed
third_attempt   taken  end   postponed  postponed  failed  postponed  postponed
fourth_attempt  taken  end   end        postponed  failed  postponed  postponed
last_attempt    taken  end   end        failed     failed  failed     failed
"""
"""What comes of one webhook to an endpoint, while another one to the same person is under way."""
NUMBERS = {"first_attempt": 1, "third_attempt": 3, "fourth_attempt": 4, "last_attempt": ATTEMPTS_MAX}


class Lookup(Desk):
    """An order of which the buyer is to be looked up, about its being placed."""

    def __init__(self, id: str = "placed") -> None:  # noqa: A002 - the wire's word
        super().__init__(OWN)
        queued = [one for one in self.hear(placed(), id=id) if isinstance(one, LookupQueued)]
        self.lookup, self.sellers = queued
        assert self.lookup.recipient.role == "buyer"

    def found(self, *endpoint_ids: str) -> list[WebhookQueued]:
        said = self.hear(Attempted(self.lookup.delivery_id, 1, endpoint_ids=endpoint_ids))
        return [one for one in said if isinstance(one, WebhookQueued)]

    def attempt(self, delivery_id: str, name: str, number: int) -> list[Message]:
        for before in range(1, number):
            self.hear(Attempted(delivery_id, before, "unreachable"))
        return self.hear(Attempted(delivery_id, number, **FOUND[name]))


def told(said: list[Message]) -> str:
    names = {Taken: "taken", NotificationFailed: "failed", Postponed: "postponed"}
    if [type(one) for one in said] == [LookedUp]:
        return "end"
    return "+".join(
        (one.endpoint_id or "") if isinstance(one, WebhookQueued) else names[type(one)]
        for one in said
        if not isinstance(one, LookedUp)
    )


@pytest.mark.parametrize(("state", "found", "expected"), list(cells(LOOKING_UP)))
def test_what_a_look_up_leads_to(state: str, found: str, expected: str) -> None:
    desk = Lookup()
    said = desk.attempt(desk.lookup.delivery_id, found, NUMBERS[state])

    assert told(said) == expected
    assert desk.refolded() == desk.state
    assert (desk.lookup.delivery_id in desk.state.pending) == (expected == "postponed")
    assert {one.delivery_id for one in said if isinstance(one, WebhookQueued)} < set(desk.state.pending)


@pytest.mark.parametrize(("state", "came", "expected"), list(cells(SENDING)))
def test_what_comes_of_one_of_several(state: str, came: str, expected: str) -> None:
    desk = Lookup()
    webhook, other = desk.found("a", "b")
    said = desk.attempt(webhook.delivery_id, came, NUMBERS[state])

    assert told(said) == expected
    assert desk.refolded() == desk.state
    assert other.delivery_id in desk.state.pending, "each has its own way"
    for one in said:
        if isinstance(one, Taken):
            assert (one.told.channel, one.told.endpoint_id) == ("webhook", "a")
            assert (one.told.role, one.told.id) == ("buyer", webhook.recipient.id)
        if isinstance(one, NotificationFailed):
            assert (one.channel, one.endpoint_id, one.recipient) == ("webhook", "a", webhook.recipient)
            assert one.visible_to == ("buyer", "operator")


def test_who_is_erased_between_plan_and_sending_gets_nothing_and_nothing_is_said_of_it() -> None:
    desk = Lookup()
    webhooks = desk.found("a", "b")
    said = [one for webhook in webhooks for one in desk.attempt(webhook.delivery_id, "gone", 1)]
    said += desk.attempt(desk.sellers.delivery_id, "none", 1)

    assert [type(one) for one in said] == [LookedUp] * 3
    assert not desk.state.pending
    assert not desk.state.given_up


def test_each_endpoint_has_an_id_that_follows_from_event_recipient_and_endpoint_alone() -> None:
    one, anew, other = Lookup(), Lookup(), Lookup(id="another")
    known = {webhook.endpoint_id: webhook.delivery_id for webhook in one.found("a", "b")}
    found = [webhook.delivery_id for webhook in anew.found("c", "b", "a")]
    of_the_seller = [
        said.delivery_id
        for said in one.hear(Attempted(one.sellers.delivery_id, 1, endpoint_ids=("a", "b")))
        if isinstance(said, WebhookQueued)
    ]
    of_another = [webhook.delivery_id for webhook in other.found("a", "b")]

    assert found[1:] == [known["b"], known["a"]]
    assert len({*found, *of_the_seller, *of_another, one.lookup.delivery_id}) == 8


def test_a_look_up_that_came_twice_queues_once() -> None:
    desk = Lookup()
    desk.found("a")

    assert desk.hear(Attempted(desk.lookup.delivery_id, 1, endpoint_ids=("a", "b"))) == []


@pytest.mark.parametrize("type_", [NotificationSent, NotificationFailed])
def test_what_ended_before_a_database_was_put_back_is_not_told_again(type_: type[Event]) -> None:
    """The bus says how it ended, and nothing else knows that it was begun."""
    desk, known = Lookup(), Lookup()
    known.attempt(known.sellers.delivery_id, "none", 1)
    [webhook] = known.found("a")
    [ended] = known.attempt(webhook.delivery_id, "taken" if type_ is NotificationSent else "410", 1)
    assert isinstance(ended, type_)
    refold(desk.decider, desk.stream, ended)
    desk.history.append(ended)

    assert [one.endpoint_id for one in desk.found("a", "b")] == ["b"]
    assert desk.refolded() == desk.state


# -- who is looked up --------------------------------------------------------------------------------------------------


def told_anyway(said: Message) -> list[Recipient]:
    if isinstance(said, NotificationSent):
        return [Recipient(role=one.role, id=one.id) for one in said.recipients]
    return [said.recipient] if isinstance(said, Queued | WebhookQueued) else []


@pytest.mark.parametrize("channels", [{"mail": True}, {"mail": False}, {"mail": True, "webhooks": ("buyer", "seller")}])
def test_besides_all_that_is_told_anyway_each_recipient_is_looked_up(channels: dict[str, Any]) -> None:
    looking, without = Desk(decider(**channels, own_webhooks=True)), Desk(decider(**channels))
    for name, event in HEARD.items():
        said = looking.hear(event, id=name)
        lookups = [one.recipient for one in said if isinstance(one, LookupQueued)]
        others = [one for one in said if not isinstance(one, LookupQueued)]
        assert others == without.hear(event, id=name)
        if not name.startswith("dispute.message_sent"):  # of which letters are rare, and webhooks are not
            assert lookups == list(dict.fromkeys(whom for one in others for whom in told_anyway(one)))
    assert looking.refolded() == looking.state


@pytest.mark.parametrize("desk", [Desk(DECIDER), Desk(TOPIC_ONLY), Desk(BOTH_CHANNELS)], ids=["mail", "topic", "both"])
def test_where_the_installation_has_none_nothing_more_is_said_and_nothing_otherwise(desk: Desk) -> None:
    for name, event in HEARD.items():
        for said in desk.hear(event, id=name):
            if isinstance(said, WebhookQueued):
                desk.hear(Attempted(said.delivery_id, 1, "refused", final=True, http_status=410))
    assert not [one for one in desk.history if isinstance(one, LookupQueued | LookedUp)]
    assert not [one for one in desk.history if "endpoint_id" in one.model_dump_json()]


def test_an_installation_without_a_secret_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [one for one in Desk(_decider(NotificationSettings())).hear(placed()) if isinstance(one, LookupQueued)]

    monkeypatch.setenv("RECOURSE_PERSON_WEBHOOK_SECRETS", json.dumps([SECRET.get_secret_value()]))
    settings = NotificationSettings()
    assert len([one for one in Desk(_decider(settings)).hear(placed()) if isinstance(one, LookupQueued)]) == 2
    assert SECRET.get_secret_value() not in repr(settings)

    monkeypatch.setenv("RECOURSE_PERSON_WEBHOOK_SECRETS", '["whsec_c2hvcnQ="]')
    with pytest.raises(ValidationError):
        NotificationSettings()


# -- what is told ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R42")
@pytest.mark.rule("C9")
@pytest.mark.parametrize("name", HEARD)
def test_it_tells_what_his_role_may_see_of_the_event_and_no_address(name: str) -> None:
    desk = Desk(OWN)
    if not name.startswith("order.placed"):
        desk.hear(placed())
        desk.hear(SAMPLES["mediation.assigned"], id="assigned")
    for lookup in desk.hear(HEARD[name], id=name):
        if isinstance(lookup, LookupQueued):
            [_, webhook] = desk.hear(Attempted(lookup.delivery_id, 1, endpoint_ids=("a",)))
            assert isinstance(webhook, WebhookQueued)
            assert webhook.facts == _ids_only(view(HEARD[name], webhook.recipient.role).data)
            assert b"@example" not in body(webhook)
            assert json.loads(body(webhook))["data"]["recipient"]["role"] == webhook.recipient.role


def _ids_only(data: dict[str, Any]) -> dict[str, Any]:
    """His own address, which was given at placing, is not repeated either."""
    for party in get_args(RecipientRole):
        if isinstance(data.get(party), dict):
            data[party] = {"id": data[party]["id"]}
    return data


@pytest.mark.rule("R38")
def test_where_a_case_stands_is_said_in_his_own_words() -> None:
    desk = Desk(OWN)
    desk.hear(placed())
    asked = SAMPLES["mediation.question_asked[both]"].model_copy(update={"status": "waiting_buyer"})
    words = {one.recipient.role: one.facts["status"] for one in desk.hear(asked) if isinstance(one, LookupQueued)}

    assert words == {"buyer": "waiting my response", "seller": "waiting the other party's response"}


# -- again -------------------------------------------------------------------------------------------------------------

RESENDING = """
           any     a          b          c          by_url
given_up   a+b     a          b          not_found  not_found
postponed  a+b     a          b          not_found  not_found
taken      not_found  not_found  not_found  not_found  not_found
"""
"""Of an order of which two webhooks are left, to the endpoints `a` and `b` of the buyer's own."""


@pytest.mark.rule("R80")
@pytest.mark.parametrize(("state", "endpoint", "expected"), list(cells(RESENDING)))
def test_an_endpoint_of_his_own_is_sent_again_by_its_id(state: str, endpoint: str, expected: str) -> None:
    desk = Lookup()
    webhooks = desk.found("a", "b")
    desk.attempt(desk.sellers.delivery_id, "none", 1)
    came = {"given_up": "410", "postponed": "busy", "taken": "taken"}[state]
    for webhook in webhooks:
        desk.attempt(webhook.delivery_id, came, 1)
    ids = {webhook.delivery_id: webhook.endpoint_id or "" for webhook in webhooks}
    named = {"any": None, "by_url": "https://bea.example.com/hooks"}.get(endpoint, endpoint)
    answer, *_ = desk.send(NotificationResend(order_id=ORDER, actor=Actor(role="operator", id="olga"), endpoint=named))

    resent = [ids[one] for one in answer.delivery_ids] if isinstance(answer, NotificationResent) else [answer.code]  # type: ignore[attr-defined]
    assert "+".join(resent) == expected
    assert desk.refolded() == desk.state
    if isinstance(answer, NotificationResent):
        assert set(answer.delivery_ids) <= set(desk.state.pending), "under the same ids"


def test_a_look_up_that_was_given_up_is_made_again() -> None:
    desk = Lookup()
    desk.attempt(desk.lookup.delivery_id, "outage", ATTEMPTS_MAX)
    [answer, anew] = desk.send(
        NotificationResend(order_id=ORDER, actor=Actor(role="operator", id="olga"), delivery_id=desk.lookup.delivery_id)
    )
    assert isinstance(answer, NotificationResent)
    assert isinstance(anew, LookupQueued)
    [_, webhook] = desk.hear(Attempted(desk.lookup.delivery_id, ATTEMPTS_MAX + 1, endpoint_ids=("a",)))

    assert isinstance(webhook, WebhookQueued)
    assert webhook.attempts == 0, "which nobody has tried yet"
    assert desk.refolded() == desk.state


# -- the secret, and what may stand in people --------------------------------------------------------------------------


def test_his_secret_follows_from_the_installations_and_both_ids() -> None:
    """The vector is what `printf 'bea\\nshelf' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101… -binary | base64`
    says, of 32 bytes of 1."""
    secret = own_secret(SECRET, "bea", "shelf").get_secret_value()

    assert secret == "whsec_qbRhX2IcajrUxBuvoNgGR+cgtL2aEbCjxefIeCpwzRg="
    assert (
        len({secret, *(own_secret(SECRET, *ids).get_secret_value() for ids in (("bea", "a"), ("sam", "shelf")))}) == 3
    )
    assert own_secret(SECRET, "a", "ba") != own_secret(SECRET, "ab", "a")
    assert own_secret(SecretStr("whsec_" + "Ag" * 16), "bea", "shelf").get_secret_value() != secret


def person(*webhooks: dict[str, Any]) -> Person:
    return Person.model_validate_json(json.dumps({"person_id": "bea", "webhooks": webhooks}))


def hook(number: int = 1, **changed: Any) -> dict[str, Any]:
    return {"endpoint_id": f"e{number}", "url": "https://bea.example.com/hooks", **changed}


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_what_the_platforms_own_may_be(url: str) -> None:
    assert person(hook(url=url)).webhooks[0].url == url


@pytest.mark.parametrize("count", range(OWN_WEBHOOKS_MAX + 1))
def test_a_person_has_up_to_five(count: int) -> None:
    assert len(person(*map(hook, range(count))).webhooks) == count


NO_WEBHOOKS = {
    **{f"to {url!r}": [hook(url=url)] for url in [*NO_URLS, "https://x/" + 2_000 * "y", "https://[::1", "", 7]},
    "six": [hook(number) for number in range(OWN_WEBHOOKS_MAX + 1)],
    "one id twice": [hook(1), hook(2), hook(1, url="https://other.example.com")],
    "a secret": [hook(secret="whsec_x")],
    "no id": [hook(endpoint_id=None)],
    "an id of two lines": [hook(endpoint_id="a\nb")],
    "no object": ["https://bea.example.com"],
}


@pytest.mark.parametrize("webhooks", NO_WEBHOOKS.values(), ids=NO_WEBHOOKS)
def test_what_is_no_webhook_is_refused(webhooks: list[Any]) -> None:
    with pytest.raises(ValidationError):
        person(*webhooks)


def test_what_was_said_of_a_person_before_there_were_any_says_that_he_has_none() -> None:
    assert Person.model_validate_json('{"person_id": "bea"}').webhooks == ()
