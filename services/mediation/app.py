"""Wiring."""

from services.mediation.domain import DECIDER
from shared.application import Application
from shared.settings import Settings

APP = Application(DECIDER, Settings)
