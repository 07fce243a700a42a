"""All that is asked of the case file besides its orders and cases: what operators ask."""

from typing import Any

from fastapi import APIRouter

from services.casefile.books.ledger_api import ledger_router
from services.casefile.books.ledger_reading import LedgerTables
from services.casefile.front.desk import Desk
from services.casefile.laboratory.policies_api import policies_router
from services.casefile.operating.stuck_api import OperatorsDesk, stuck_router


def for_operators(ledger: LedgerTables, operators: OperatorsDesk, desk: Desk) -> list[APIRouter]:
    return [ledger_router(ledger), stuck_router(operators), policies_router(desk)]


def described() -> list[APIRouter]:
    """The same with nobody behind it: what the OpenAPI document is made of."""
    nobody: Any = None
    return for_operators(nobody, nobody, nobody)
