"""Wiring."""

from services.order.domain import DECIDER
from shared.runtime.application import Application
from shared.runtime.settings import Settings

APP = Application("order", lambda settings: DECIDER, Settings)
