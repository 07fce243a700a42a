"""Signed webhooks, after the Standard Webhooks scheme: what one says, how it is signed, and what an answer means.

They tell the platform's own systems what each recipient is told. Where they go is the platform's setting, yet unless
allowed nothing is sent to an address that is not public (network.py), and no redirect is followed.
"""

import asyncio
import hmac
import json
import logging
import ssl
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime
from typing import Annotated, Any, Self, get_args

import httpcore
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from schemas.common import WebhookUrl
from schemas.instants import rfc3339
from schemas.notification.events import WebhookQueued
from schemas.notification.shapes import RecipientRole
from services.notification.network import Network, NotPublic
from services.notification.people import AddressedWebhook
from services.notification.projection import (
    OWN_QUEUES,
    TAKEN,
    TAKEN_MAX,
    UNREACHABLE,
    Channel,
    SendResult,
    webhooks_about,
)
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)

SECRET_PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
RESPONSE_BYTES_MAX = 16_384
"""Of an answer's body, which is read only so that the connection can be used again."""
NAMES_AT_ONCE = 32
"""Names of people's own endpoints are looked up so many at a time, in threads of their own: one of which nobody answers
holds up neither mail nor the platform's webhooks."""
GONE = 410
"""The one answer that is for ever; any other no passes while an endpoint is put up, moved, or given its keys."""
FORBIDDEN = SendResult("bad_address")
"""Not for ever: a name's address can be mended."""
TROUBLE = (
    TimeoutError,
    OSError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


def _secret(secret: SecretStr) -> SecretStr:
    key_of(secret)
    return secret


def key_of(secret: SecretStr) -> bytes:
    """Raises ValueError for what is no `whsec_<base64 of 24 to 64 bytes>`; the secret is not in its words."""
    written = secret.get_secret_value()
    try:
        key = b64decode(written.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not written.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise ValueError("a secret is whsec_ and the base64 of 24 to 64 bytes")
    return key


def own_secret(secret: SecretStr, person_id: str, endpoint_id: str) -> SecretStr:
    """With which what goes to this endpoint of this person's own is signed, from a secret of the installation (R74).
    Whoever has that can tell him his; none is stored. Neither id can have a line feed in it."""
    derived = hmac.digest(key_of(secret), f"{person_id}\n{endpoint_id}".encode(), "sha256")
    return SecretStr(SECRET_PREFIX + b64encode(derived).decode())


Secrets = tuple[Annotated[SecretStr, AfterValidator(_secret)], ...]
SECRETS_MAX = 4


class Endpoint(BaseModel):
    """Where the webhooks about these roles go. Several secrets while one takes over from the other: each signs."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: WebhookUrl
    secrets: Annotated[Secrets, Field(min_length=1, max_length=SECRETS_MAX)]
    roles: Annotated[frozenset[RecipientRole], Field(min_length=1)] = frozenset(("buyer", "seller", "mediator"))


class WebhookSettings(Settings):
    """Without endpoints there are no webhooks of the platform's, without secrets none of people's own."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    webhook_endpoints: tuple[Endpoint, ...] = ()
    """As JSON: `[{"url": "https://…", "secrets": ["whsec_…"], "roles": ["buyer"]}]`; without roles, all."""
    webhook_timeout_seconds: float = Field(default=10.0, gt=0)
    """For a whole attempt."""
    webhook_connections_max: int = Field(default=4, ge=1)
    """To each endpoint."""
    webhook_allow_private: bool = False
    """Also to addresses of private networks and of this machine."""
    person_webhook_secrets: Annotated[Secrets, Field(max_length=SECRETS_MAX)] = ()
    """As JSON: `["whsec_…"]`. From these those of people's own webhooks follow; several while one takes over."""

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if any(times > 1 for times in Counter(role for one in self.webhook_endpoints for role in one.roles).values()):
            raise ValueError("two webhook endpoints for one role: each delivery goes to one place")
        return self

    @property
    def webhook_roles(self) -> frozenset[RecipientRole]:
        return frozenset(role for one in self.webhook_endpoints for role in one.roles)

    @property
    def endpoints(self) -> dict[str, frozenset[RecipientRole]]:
        """URL -> about whom it is told."""
        return {one.url: one.roles for one in self.webhook_endpoints}


def body(queued: WebhookQueued) -> bytes:
    """The same delivery says the same, to the byte."""
    event = {"type": queued.event_type, "at": rfc3339(queued.event_at), "order_id": queued.order_id}
    said = {
        "type": queued.event_type,
        "timestamp": rfc3339(queued.event_at),
        "data": {
            "event": event,
            "recipient": queued.recipient.model_dump(),
            "template": queued.template,
            "facts": queued.facts,
        },
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def signature(key: bytes, webhook_id: str, timestamp: int, content: bytes) -> str:
    signed = b"%s.%d.%s" % (webhook_id.encode(), timestamp, content)
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()


def headers(
    secrets: Iterable[SecretStr], webhook_id: str, at: datetime, content: bytes
) -> list[tuple[bytes | str, bytes | str]]:
    """A receiver accepts if any of the signatures is right, and only if `at`, the attempt's time, is near its own."""
    timestamp = int(at.timestamp())
    return [
        ("content-type", "application/json"),
        ("user-agent", "Recourse"),
        ("webhook-id", webhook_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(signature(key_of(one), webhook_id, timestamp, content) for one in secrets)),
    ]


def meaning(status: int) -> SendResult:
    """A redirect is a no: we do not follow it, but who set the address can mend it."""
    if 200 <= status < 300:
        return TAKEN
    return SendResult("refused", final=status == GONE, http_status=status)


class Webhooks:
    """Keeps its connections for the next ones, each endpoint its own: those of a slow one are nobody else's."""

    def __init__(self, settings: WebhookSettings) -> None:
        self.settings = settings
        self._endpoints = {role: one for one in settings.webhook_endpoints for role in one.roles}
        self._timeout_seconds = settings.webhook_timeout_seconds
        # A handshake has less: httpcore closes the connection of one that it times out itself, not of one cancelled.
        self._patience = {"timeout": {"connect": settings.webhook_timeout_seconds / 4}}
        trusting = _trusting()
        self._pools = {
            one.url: _pool(trusting, settings, settings.webhook_connections_max) for one in settings.webhook_endpoints
        }
        self._names = ThreadPoolExecutor(NAMES_AT_ONCE, "names")
        self._own_pool = _pool(trusting, settings, TAKEN_MAX, self._names)

    async def send(self, queued: WebhookQueued, at: datetime) -> SendResult:
        """Hands one webhook over. Never raises for what an endpoint or an address does."""
        endpoint = self._endpoints.get(queued.recipient.role)
        if endpoint is None:
            return UNREACHABLE  # what was queued while there was one
        return await self._post(self._pools[endpoint.url], endpoint.url, endpoint.secrets, queued, at)

    async def send_own(self, webhook: AddressedWebhook, at: datetime) -> SendResult:
        """Likewise, to an endpoint of the recipient's own."""
        person_id, endpoint_id = webhook.queued.recipient.id, webhook.queued.endpoint_id or ""
        secrets = [own_secret(one, person_id, endpoint_id) for one in self.settings.person_webhook_secrets]
        if not secrets:
            return UNREACHABLE  # what was queued while there were some
        return await self._post(self._own_pool, webhook.url, secrets, webhook.queued, at)

    async def _post(
        self,
        pool: httpcore.AsyncConnectionPool,
        url: str,
        secrets: Iterable[SecretStr],
        queued: WebhookQueued,
        at: datetime,
    ) -> SendResult:
        content = body(queued)
        signed = headers(secrets, queued.delivery_id, at, content)
        status: int | None = None
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                pool.stream("POST", url, headers=signed, content=content, extensions=self._patience) as response,
            ):
                status = response.status
                await _read(response)
        except NotPublic:
            log.error("a webhook's address is not public", extra={"role": queued.recipient.role})
            return FORBIDDEN
        except TROUBLE as trouble:
            if status is None:  # else it has answered, and how the rest arrives does not matter
                log.warning("no webhook can be handed over", extra={"trouble": type(trouble).__name__})
                return UNREACHABLE
        assert status is not None
        return meaning(status)

    async def close(self) -> None:
        for pool in (*self._pools.values(), self._own_pool):
            await pool.aclose()
        self._names.shutdown(wait=False, cancel_futures=True)


def _pool(
    trusting: ssl.SSLContext, settings: WebhookSettings, connections_max: int, names: Executor | None = None
) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=trusting,
        max_connections=connections_max,
        keepalive_expiry=30.0,
        network_backend=Network(settings.webhook_allow_private, names),
    )


def _trusting() -> ssl.SSLContext:
    """The certificate authorities that everybody knows, and those that this machine was told of."""
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context


async def _read(response: httpcore.Response) -> None:
    """What is longer than an answer may be is left unread, and its connection closed."""
    length = 0
    async for part in response.aiter_stream():
        length += len(part)
        if length > RESPONSE_BYTES_MAX:
            return


def webhook_channels(gateway: Webhooks) -> list[Channel[Any]]:
    """One for each endpoint, one for what was queued for roles that have none now, and one for people's own: of these
    each has its place, so that none waits for another's answer."""
    settings = gateway.settings
    nowhere = frozenset(get_args(RecipientRole)) - settings.webhook_roles
    about_roles: list[Channel[Any]] = [
        Channel(
            tuple(webhooks_about(role) for role in sorted(roles)),
            gateway.send,
            gateway.close,
            settings.webhook_connections_max,
        )
        for roles in (*(one.roles for one in settings.webhook_endpoints), nowhere)
        if roles
    ]
    return [*about_roles, Channel(OWN_QUEUES, gateway.send_own, gateway.close, TAKEN_MAX)]
