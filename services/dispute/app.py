"""Wiring."""

from services.dispute.domain import DECIDER
from shared.runtime.application import Application
from shared.runtime.settings import Settings

APP = Application("dispute", lambda settings: DECIDER, Settings)
