"""Wiring."""

from datetime import UTC, datetime
from pathlib import Path

from services.notification.domain import decider
from services.notification.projection import Deliveries
from services.notification.smtp import MailSettings, Smtp, mail_channel
from services.notification.store import PostgresDeliveryTable
from services.notification.webhooks import Webhooks, WebhookSettings, webhook_channel
from shared.runtime.application import Application


class NotificationSettings(MailSettings, WebhookSettings):
    """Of both channels."""


_SETTINGS = NotificationSettings()

APP = Application(
    decider(mail=_SETTINGS.smtp_host is not None, webhooks=_SETTINGS.webhook_roles),
    NotificationSettings,
    agenda=lambda settings, pool: Deliveries(
        PostgresDeliveryTable(pool),
        [
            mail_channel(Smtp(settings), settings.smtp_connections_max),
            webhook_channel(Webhooks(settings), settings.webhook_connections_max),
        ],
        lambda: datetime.now(UTC),
    ),
    migrations=(Path(__file__).parent / "migrations",),
)
