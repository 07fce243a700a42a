"""Wiring."""

from services.dispute.domain import DECIDER
from shared.application import Application
from shared.settings import Settings

APP = Application(DECIDER, Settings)
