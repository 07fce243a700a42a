"""Wiring."""

from pathlib import Path

from services.notification.domain import DECIDER, TOPIC_ONLY
from services.notification.gateway import MailSettings, Smtp
from services.notification.store import MailQueue
from shared.application import Application

APP = Application(
    DECIDER if MailSettings().smtp_host else TOPIC_ONLY,
    MailSettings,
    agenda=lambda settings, pool: MailQueue(pool, Smtp(settings), settings.smtp_connections_max),
    migrations=(Path(__file__).parent / "migrations",),
)
