"""Who is told, in memory: a mail server, the platform's endpoint for webhooks, and people's own. They keep what they
took, and take everything unless `answer` says otherwise: that they are away, or refuse."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from schemas.notification.events import Queued, WebhookQueued
from schemas.notification.shapes import RecipientRole
from services.notification.letters import Letter, letter
from services.notification.people import AddressedWebhook
from services.notification.projection import OWN_QUEUES, TAKEN, Channel, SendResult, webhooks_about
from services.notification.webhooks import body

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class TakenLetter:
    """A letter as its recipient holds it."""

    queued: Queued
    letter: Letter


class MailServer:
    def __init__(self) -> None:
        self.answer: Callable[[Queued], SendResult] = lambda queued: TAKEN
        self.taken: list[TakenLetter] = []

    def channel(self) -> Channel[Queued]:
        return Channel(("email",), self._send, _nothing_to_close, AT_ONCE)

    async def _send(self, queued: Queued, now: datetime) -> SendResult:
        written = letter(queued)
        result = self.answer(queued)
        if result == TAKEN:
            self.taken.append(TakenLetter(queued, written))
        return result


class WebhookEndpoint:
    def __init__(self) -> None:
        self.answer: Callable[[WebhookQueued], SendResult] = lambda queued: TAKEN
        self.taken: list[bytes] = []
        """The bodies."""

    def channel(self) -> Channel[WebhookQueued]:
        return Channel(tuple(map(webhooks_about, get_args(RecipientRole))), self._send, _nothing_to_close, AT_ONCE)

    async def _send(self, queued: WebhookQueued, now: datetime) -> SendResult:
        said = body(queued)
        result = self.answer(queued)
        if result == TAKEN:
            self.taken.append(said)
        return result


class OwnEndpoints:
    """Of everybody, wherever they are."""

    def __init__(self) -> None:
        self.answer: Callable[[AddressedWebhook], SendResult] = lambda webhook: TAKEN
        self.taken: list[AddressedWebhook] = []

    def channel(self) -> Channel[AddressedWebhook]:
        return Channel(OWN_QUEUES, self._send, _nothing_to_close, AT_ONCE)

    async def _send(self, webhook: AddressedWebhook, now: datetime) -> SendResult:
        result = self.answer(webhook)
        if result == TAKEN:
            self.taken.append(webhook)
        return result


async def _nothing_to_close() -> None: ...
