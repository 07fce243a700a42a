"""Wiring."""

from pathlib import Path

import asyncpg

from services.timer.domain import DECIDER
from services.timer.projection import Timers
from services.timer.store import PostgresTimerTable
from shared.runtime.application import Application
from shared.runtime.parts import Parts
from shared.runtime.settings import Settings


def _parts(settings: Settings, pool: asyncpg.Pool) -> Parts:
    timers = Timers(PostgresTimerTable(pool))
    return Parts(projections=[timers], inputs=[timers], overdue=timers.overdue)


APP = Application(
    "timer", lambda settings: DECIDER, Settings, parts=_parts, migrations=(Path(__file__).parent / "migrations",)
)
