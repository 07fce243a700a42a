"""Wiring."""

from pathlib import Path
from typing import Any

import asyncpg

from services.notification.agenda import DeliveryQueue, mail_line, webhook_line
from services.notification.domain import decider
from services.notification.gateway import MailSettings, Smtp
from services.notification.store import PostgresTable
from services.notification.webhooks import Webhooks, WebhookSettings
from shared.kernel.decider import Decider
from shared.runtime.application import Application
from shared.runtime.parts import Parts


class NotificationSettings(MailSettings, WebhookSettings):
    """Of both channels."""


def _decider(settings: NotificationSettings) -> Decider[Any, Any, Any]:
    return decider(mail=settings.smtp_host is not None, webhooks=settings.webhook_roles)


def _parts(settings: NotificationSettings, pool: asyncpg.Pool) -> Parts:
    deliveries = DeliveryQueue(
        PostgresTable(pool),
        mail_line(Smtp(settings), settings.smtp_connections_max),
        webhook_line(Webhooks(settings), settings.webhook_connections_max),
    )
    return Parts(projections=[deliveries], inputs=[deliveries])


APP = Application(_decider, NotificationSettings, parts=_parts, migrations=(Path(__file__).parent / "migrations",))
