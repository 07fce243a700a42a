"""Wiring."""

from pathlib import Path
from typing import Literal

import asyncpg

from services.refund.domain import DECIDER
from services.refund.gateway import Sandbox
from services.refund.projection import Ledger, ReviewQueue
from services.refund.store import PostgresLedgerTable, PostgresReviewTable
from shared.runtime.application import Application
from shared.runtime.parts import Parts
from shared.runtime.settings import Settings


class RefundSettings(Settings):
    """`topic`: the platform's payment service answers on payments.events. `sandbox`: this process does, for places
    that have no such service."""

    refund_provider: Literal["topic", "sandbox"] = "topic"


def _parts(settings: RefundSettings, pool: asyncpg.Pool) -> Parts:
    sandbox = [Sandbox(settings, pool)] if settings.refund_provider == "sandbox" else []
    return Parts(projections=[Ledger(PostgresLedgerTable()), ReviewQueue(PostgresReviewTable())], background=sandbox)


APP = Application(
    "refund", lambda settings: DECIDER, RefundSettings, parts=_parts, migrations=(Path(__file__).parent / "migrations",)
)
