"""Wiring."""

from pathlib import Path

from services.timer.agenda import TimerAgenda
from services.timer.domain import DECIDER
from services.timer.store import PostgresTable
from shared.runtime.application import Application
from shared.runtime.settings import Settings

APP = Application(
    DECIDER,
    Settings,
    agenda=lambda settings, pool: TimerAgenda(PostgresTable(pool)),
    migrations=(Path(__file__).parent / "migrations",),
)
