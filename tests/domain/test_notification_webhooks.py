"""What a webhook says, how it is signed, what an answer means, and where none goes (R49)."""

import hmac
import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from schemas.notification.events import NotificationFailed, NotificationSent, Queued, WebhookQueued
from schemas.notification.shapes import Recipient, RecipientRole
from services.notification.domain import DECIDER, Attempted, decider
from services.notification.network import SPECIAL, is_public
from services.notification.policy import ATTEMPTS_MAX
from services.notification.projection import TAKEN
from services.notification.subscriptions import SUBSCRIPTIONS
from services.notification.webhooks import Endpoint, WebhookSettings, body, headers, meaning
from tests.domain.notification_samples import ORDER, SAMPLES, placed
from tests.domain.table import NOON, Desk, cells, outcome

SECRET, OLDER = (SecretStr(f"whsec_{b64encode(bytes([byte]) * 32).decode()}") for byte in (1, 2))
ALL: frozenset[RecipientRole] = frozenset(("buyer", "seller", "mediator"))
BOTH_CHANNELS = decider(mail=True, webhooks=ALL)
ANSWERS = """
        to_first  to_last
200     sent      sent
204     sent      sent
301     -         failed
307     -         failed
400     -         failed
401     -         failed
403     -         failed
404     -         failed
405     -         failed
408     -         failed
409     -         failed
410     failed    failed
423     -         failed
425     -         failed
429     -         failed
500     -         failed
503     -         failed
"""
"""To the first and to the last attempt; `-`: there will be another."""
ADDRESSES = """
                              public
93.184.216.34                 yes
2606:2800:220:1:248:1893::1   yes
10.0.0.1                      -
172.31.255.255                -
192.168.1.1                   -
127.0.0.1                     -
0.0.0.0                       -
169.254.169.254               -
168.63.129.16                 -
100.64.0.1                    -
100.100.100.200               -
192.0.0.192                   -
198.18.0.1                    -
203.0.113.7                   -
224.0.0.1                     -
240.0.0.1                     -
255.255.255.255               -
::                            -
::1                           -
fe80::1                       -
fe80::1%eth0                  -
fd00:ec2::254                 -
ff02::1                       -
::ffff:169.254.169.254        -
64:ff9b::169.254.169.254      -
64:ff9b::93.184.216.34        yes
2002:a9fe:a9fe::1             -
2002:5db8:d822::1             yes
::ffff:93.184.216.34          yes
::ffff:0:93.184.216.34        -
::93.184.216.34               -
64:ff9b:1::93.184.216.34      -
2001:0:5db8:d822::f5ff:fffe   -
2001:0:a00:1::a247:27dd       -
2001:0:5db8:d822::a247:27dd   yes
192.0.0.9                     -
192.88.99.2                   -
239.255.255.250               -
fec0::1                       -
feff::1                       -
3fff::1                       -
3fff:fff:ffff::1              -
5f00::1                       -
100::1                        -
100:0:0:1::1                  -
2001:db8::1                   -
2001:20::1                    -
2001:1ff::1                   -
2001:200::1                   yes
3ffe::1                       yes
4000::1                       -
a000::1                       -
ff0e::1                       -
"""


def queued(role: RecipientRole = "buyer", **changes: Any) -> WebhookQueued:
    default = {"order_id": ORDER, "event_at": NOON, "recipient": Recipient(role=role, id="bea")}
    told = {"delivery_id": "d1", "event_type": "order.shipped.v1", "template": "order.shipped"}
    return WebhookQueued(**{**default, **told, "facts": {"carrier": "Päckle"}, **changes})


def verified(secret: str, sent: dict[str, str], content: bytes) -> bool:
    """As a receiver does it, written after the scheme and not after our code."""
    signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + content
    right = b64encode(hmac.new(b64decode(secret[6:]), signed, "sha256").digest()).decode()
    return any(hmac.compare_digest(one, f"v1,{right}") for one in sent["webhook-signature"].split(" "))


def signed(secrets: list[SecretStr], content: bytes = b"{}", at: datetime = NOON) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers(secrets, "d1", at, content)}


@pytest.mark.rule("R49")
def test_the_schemes_own_example_is_signed_as_the_scheme_says() -> None:
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1_614_265_330, UTC)
    sent = dict(headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}'))
    assert sent["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert sent["webhook-timestamp"] == "1614265330"
    assert sent["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.rule("R49")
def test_while_a_secret_takes_over_from_another_each_of_them_verifies() -> None:
    sent = signed([SECRET, OLDER], b'{"a":1}')
    assert sent["webhook-signature"].count("v1,") == 2
    for secret in (SECRET, OLDER):
        assert verified(secret.get_secret_value(), sent, b'{"a":1}')
        assert not verified(secret.get_secret_value(), sent, b'{"a":2}')
    assert not verified(OLDER.get_secret_value(), signed([SECRET], b'{"a":1}'), b'{"a":1}')


def test_a_signature_is_of_this_id_and_this_attempt() -> None:
    sent = signed([SECRET])
    assert not verified(SECRET.get_secret_value(), {**sent, "webhook-id": "d2"}, b"{}")
    assert not verified(SECRET.get_secret_value(), {**sent, "webhook-timestamp": "1"}, b"{}")


def test_a_webhook_says_who_is_told_what() -> None:
    assert json.loads(body(queued())) == {
        "type": "order.shipped.v1",
        "timestamp": "2026-03-02T12:00:00.000Z",
        "data": {
            "event": {"type": "order.shipped.v1", "at": "2026-03-02T12:00:00.000Z", "order_id": "order-1"},
            "recipient": {"role": "buyer", "id": "bea"},
            "template": "order.shipped",
            "facts": {"carrier": "Päckle"},
        },
    }


@pytest.mark.rule("R80")
@pytest.mark.parametrize(("status", "attempt", "expected"), list(cells(ANSWERS)))
def test_what_an_answer_leads_to(status: str, attempt: str, expected: str) -> None:
    desk = Desk(decider(mail=False, webhooks={"buyer"}))
    webhook = next(one for one in desk.hear(placed()) if isinstance(one, WebhookQueued))
    number = 1 if attempt == "to_first" else ATTEMPTS_MAX
    for before in range(1, number):
        desk.hear(Attempted(webhook.delivery_id, before, "unreachable"))
    answer = meaning(int(status))
    said = desk.hear(
        Attempted(webhook.delivery_id, number, answer.problem, None, answer.final, http_status=answer.http_status)
    )
    assert outcome(said) == expected
    for one in said:
        if isinstance(one, NotificationSent):
            assert [told.channel for told in one.recipients] == ["webhook"]
        if isinstance(one, NotificationFailed):
            assert (one.channel, one.problem) == ("webhook", "refused")
            assert (one.smtp_status, one.http_status) == (None, int(status))
    assert desk.refolded() == desk.state


@pytest.mark.parametrize("network", SPECIAL, ids=str)
def test_nothing_in_a_special_block_gets_a_webhook(network: IPv4Network | IPv6Network) -> None:
    """Its first address and its last; those that carry an IPv4 address carry 0.0.0.0 and 255.255.255.255 then."""
    assert not is_public(str(network[0]))
    assert not is_public(str(network[-1]))


@pytest.mark.parametrize(("address", "_", "expected"), list(cells(ADDRESSES)))
def test_an_address_is_public_or_gets_no_webhook(address: str, _: str, expected: str) -> None:
    assert is_public(address) == (expected == "yes")


# -- who gets one ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R49")
def test_a_webhook_tells_what_the_letter_tells_under_an_id_of_its_own() -> None:
    said = Desk(BOTH_CHANNELS).hear(placed())
    letters = [one for one in said if isinstance(one, Queued)]
    webhooks = [one for one in said if isinstance(one, WebhookQueued)]
    assert [one.recipient for one in webhooks] == [one.recipient for one in letters]
    assert [one.facts for one in webhooks] == [one.facts for one in letters]
    assert len({*(one.delivery_id for one in letters), *(one.delivery_id for one in webhooks)}) == 4


@pytest.mark.rule("R49")
def test_the_topic_still_tells_who_has_no_mail() -> None:
    said = Desk(decider(mail=False, webhooks={"seller"})).hear(placed())
    [sent] = [one for one in said if isinstance(one, NotificationSent)]
    assert [one.role for one in sent.recipients] == ["buyer", "seller"]
    assert [one.recipient.role for one in said if isinstance(one, WebhookQueued)] == ["seller"]


def test_a_webhook_changes_nothing_about_the_letters() -> None:
    with_webhooks, without = Desk(BOTH_CHANNELS), Desk(DECIDER)
    for event in SAMPLES.values():
        if isinstance(event, SUBSCRIPTIONS):
            said = [one for one in with_webhooks.hear(event) if not isinstance(one, WebhookQueued)]
            assert said == without.hear(event)


@pytest.mark.rule("R42")
@pytest.mark.rule("C9")
def test_no_webhook_says_to_one_what_is_kept_from_him_and_none_holds_an_address() -> None:
    desk = Desk(BOTH_CHANNELS)
    for event in SAMPLES.values():
        if isinstance(event, SUBSCRIPTIONS):
            desk.hear(event)
    webhooks = [one for one in desk.history if isinstance(one, WebhookQueued)]
    assert len(webhooks) > 100
    assert not [one for one in webhooks if b"@example" in body(one)]
    declined = [one.recipient.role for one in webhooks if one.template == "mediation.offer_declined"]
    assert declined == ["buyer", "mediator"]


# -- settings ----------------------------------------------------------------------------------------------------------

URLS = ["https://hooks.example/a?b=c", "http://127.0.0.1:8080/", "http://localhost/", "http://[::1]:1/"]
NO_URLS = [
    "http://hooks.example/",
    "http://10.0.0.1/",
    "http://localhost.example/",
    "ftp://hooks.example/",
    "https://user:word@hooks.example/",
    "https://hooks.example/#a",
    "https://",
    "//hooks.example/",
    "https://hooks.example/\r\nX: y",
    "https://bücher.example/",
    "https://hooks.example:0/",
]
NO_SECRETS = [
    "",
    "whsec_",
    "whsec_c2hvcnQ=",
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_not base64 at all, but long enough",
]


@pytest.mark.parametrize("url", URLS)
def test_an_endpoint_is_reached_by_https_or_on_this_machine(url: str) -> None:
    assert Endpoint(url=url, secrets=(SECRET,)).roles == ALL


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_safe_address_is_no_endpoint(url: str) -> None:
    with pytest.raises(ValidationError):
        Endpoint(url=url, secrets=(SECRET,))


@pytest.mark.parametrize("secret", NO_SECRETS)
def test_a_bad_secret_is_refused_without_being_shown(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [{"url": "https://hooks.example", "secrets": [SECRET.get_secret_value(), secret]}]
    monkeypatch.setenv("RECOURSE_WEBHOOK_ENDPOINTS", json.dumps(said))
    with pytest.raises(ValidationError) as refusal:
        WebhookSettings()
    assert SECRET.get_secret_value() not in str(refusal.value)
    assert "input_value" not in str(refusal.value)


def test_endpoints_come_from_the_environment_and_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"url": "https://a.example", "secrets": [SECRET.get_secret_value()], "roles": ["buyer"]}
    other = {"url": "https://b.example", "secrets": [OLDER.get_secret_value()], "roles": ["seller"]}
    monkeypatch.setenv("RECOURSE_WEBHOOK_ENDPOINTS", json.dumps([one, other]))
    settings = WebhookSettings()
    assert settings.webhook_roles == {"buyer", "seller"}
    assert SECRET.get_secret_value() not in repr(settings)
    monkeypatch.setenv("RECOURSE_WEBHOOK_ENDPOINTS", json.dumps([one, {**other, "roles": ["buyer"]}]))
    with pytest.raises(ValidationError, match="two webhook endpoints for one role"):
        WebhookSettings()


def test_without_endpoints_there_are_no_webhooks() -> None:
    assert WebhookSettings().webhook_roles == frozenset()
    assert meaning(200) == TAKEN
