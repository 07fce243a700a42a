"""Wiring."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import asyncpg

from services.refund.domain import DECIDER
from services.refund.gateway import Sandbox
from services.refund.store import Ledger
from shared.runtime.application import Application, Companion
from shared.runtime.settings import Settings


class RefundSettings(Settings):
    """`topic`: the platform's payment service answers on payments.events. `sandbox`: this process does, for places
    that have no such service."""

    refund_provider: Literal["topic", "sandbox"] = "topic"


def _providers(settings: RefundSettings, pool: asyncpg.Pool) -> Sequence[Companion]:
    return [Sandbox(settings, pool)] if settings.refund_provider == "sandbox" else []


APP = Application(
    DECIDER,
    RefundSettings,
    agenda=lambda settings, pool: Ledger(),
    companions=_providers,
    migrations=(Path(__file__).parent / "migrations",),
)
