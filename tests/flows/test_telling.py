"""Who hears of a story, by letter and by webhook: on the in-memory composition."""

import json
from datetime import timedelta

import pytest

from deploy.memory import open_stage
from deploy.recipients import MailServer, WebhookEndpoint
from deploy.stories.book import STORIES
from deploy.stories.dialogue import Scene
from schemas.instants import rfc3339
from services.notification.policy import RETRY_AFTER
from services.notification.projection import UNREACHABLE, SendResult

FORGOTTEN = 26
"""From the middle of this story on nobody writes to its buyer (R74); the platform's own systems hear on."""
Told = list[tuple[str, str, str, str]]
"""(role, event, when, what it says) of each who was told."""


def by_letter(mails: MailServer) -> Told:
    return sorted(
        (one.recipient.role, one.event_type, rfc3339(one.event_at), json.dumps(one.facts))
        for one in (taken.queued for taken in mails.taken)
    )


def by_webhook(hooks: WebhookEndpoint) -> Told:
    return sorted(
        (one["recipient"]["role"], one["event"]["type"], one["event"]["at"], json.dumps(one["facts"]))
        for one in (json.loads(taken)["data"] for taken in hooks.taken)
    )


def roles(told: Told) -> list[str]:
    return [role for role, *_ in told]


@pytest.mark.rule("R49")
@pytest.mark.parametrize("number", STORIES, ids=lambda number: f"story-{number}")
async def test_the_endpoint_hears_what_people_hear(number: int) -> None:
    hooks = WebhookEndpoint()
    stage, mails = await open_stage("aliexpress", hooks)

    await STORIES[number].play(Scene(stage, f"story-{number}"))

    by_webhook_alone = [one for one in by_webhook(hooks) if one not in by_letter(mails)]
    assert [one for one in by_webhook(hooks) if one not in by_webhook_alone] == by_letter(mails)
    assert set(roles(by_webhook_alone)) == ({"buyer"} if number == FORGOTTEN else set())
    assert {"buyer", "seller"} <= set(roles(by_webhook(hooks)))


@pytest.mark.rule("R49")
async def test_while_the_mail_server_is_away_webhooks_go_out_and_letters_follow() -> None:
    hooks = WebhookEndpoint()
    stage, mails = await open_stage("aliexpress", hooks)
    mails.answer = lambda queued: UNREACHABLE

    await Scene(stage, "away").order(lamp=40_00)

    assert (roles(by_letter(mails)), roles(by_webhook(hooks))) == ([], ["buyer", "buyer", "seller", "seller"])
    mails.answer = MailServer().answer
    await stage.sleep(RETRY_AFTER[0] - timedelta(milliseconds=1))
    assert by_letter(mails) == []
    await stage.sleep(timedelta(milliseconds=1))
    assert by_letter(mails) == by_webhook(hooks)


@pytest.mark.rule("R49")
async def test_an_endpoint_that_is_gone_is_given_up_and_says_so() -> None:
    hooks = WebhookEndpoint()
    stage, mails = await open_stage("aliexpress", hooks)
    hooks.answer = lambda queued: SendResult("refused", http_status=410, final=True)
    case = await Scene(stage, "gone").order(lamp=40_00)

    given_up = await case.hears("notification.failed", channel="webhook")

    assert (given_up["http_status"], given_up["attempts"]) == (410, 1)
    assert hooks.taken == []
    assert len(mails.taken) == 4, "to each that it is placed and that it is paid"
