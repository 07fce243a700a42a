"""Wiring."""

from pathlib import Path

from services.mediation.domain import DECIDER
from shared.runtime.application import Application
from shared.runtime.settings import Settings

APP = Application("mediation", lambda settings: DECIDER, Settings, migrations=(Path(__file__).parent / "migrations",))
