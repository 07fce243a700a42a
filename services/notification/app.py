"""Wiring."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from services.notification.domain import decider
from services.notification.people import People
from services.notification.projection import Channel, Deliveries
from services.notification.smtp import MailSettings, Smtp, mail_channel
from services.notification.store import PostgresDeliveryTable, PostgresPeopleTable
from services.notification.webhooks import Webhooks, WebhookSettings, webhook_channels
from shared.kernel.decider import Decider
from shared.runtime.application import Application
from shared.runtime.parts import Parts


class NotificationSettings(MailSettings, WebhookSettings):
    """Of both channels."""


def _decider(settings: NotificationSettings) -> Decider[Any, Any, Any]:
    return decider(
        mail=settings.smtp_host is not None,
        webhooks=settings.webhook_roles,
        endpoints=settings.endpoints,
        own_webhooks=bool(settings.person_webhook_secrets),
    )


def _parts(settings: NotificationSettings, pool: asyncpg.Pool) -> Parts:
    channels: list[Channel[Any]] = [
        mail_channel(Smtp(settings), settings.smtp_connections_max),
        *webhook_channels(Webhooks(settings)),
    ]
    people = PostgresPeopleTable(pool)
    deliveries = Deliveries(PostgresDeliveryTable(pool), people, channels, lambda: datetime.now(UTC))
    return Parts(projections=[People(people), deliveries], inputs=[deliveries])


APP = Application(
    "notification", _decider, NotificationSettings, parts=_parts, migrations=(Path(__file__).parent / "migrations",)
)
