"""Wiring."""

from services.order.domain import DECIDER
from shared.application import Application
from shared.settings import Settings

APP = Application(DECIDER, Settings)
