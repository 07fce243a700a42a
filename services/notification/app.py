"""Wiring."""

from pathlib import Path

from services.notification.agenda import DeliveryQueue, mail_line, webhook_line
from services.notification.domain import decider
from services.notification.gateway import MailSettings, Smtp
from services.notification.store import PostgresTable
from services.notification.webhooks import Webhooks, WebhookSettings
from shared.runtime.application import Application


class NotificationSettings(MailSettings, WebhookSettings):
    """Of both channels."""


_SETTINGS = NotificationSettings()

APP = Application(
    decider(mail=_SETTINGS.smtp_host is not None, webhooks=_SETTINGS.webhook_roles),
    NotificationSettings,
    agenda=lambda settings, pool: DeliveryQueue(
        PostgresTable(pool),
        mail_line(Smtp(settings), settings.smtp_connections_max),
        webhook_line(Webhooks(settings), settings.webhook_connections_max),
    ),
    migrations=(Path(__file__).parent / "migrations",),
)
