"""Wiring."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Literal

import asyncpg
from fastapi import APIRouter
from pydantic import Field

from schemas.topics import CASE_FILE
from services.casefile.books.ledger_store import PostgresLedgerTables
from services.casefile.books.money_store import MoneyOfOrders
from services.casefile.domain import DECIDER
from services.casefile.front import http as web
from services.casefile.front.bounds import SERVER
from services.casefile.front.desk import Desk
from services.casefile.front.sending import KafkaSender
from services.casefile.front.signin import SignIn, sign_in
from services.casefile.operating.own_store import PostgresOwnTables
from services.casefile.operating.planning import Planner
from services.casefile.operating.redriving import KafkaRawBus
from services.casefile.operating.stuck_api import OperatorsDesk
from services.casefile.operating.stuck_store import PostgresStuckTables, StuckOfOrders
from services.casefile.pages.operating import OperatorsTables
from services.casefile.pages.routes import Pages
from services.casefile.routes import for_operators
from services.casefile.tables.editions import Make, WatchShown, next_one, shown
from services.casefile.tables.projection import KeptRecords
from services.casefile.tables.store import PostgresCaseTables
from shared.kernel.policies import Policies
from shared.kernel.ports import Projection
from shared.rules import policies
from shared.runtime.application import Application
from shared.runtime.kafka.connection import connection
from shared.runtime.parts import Parts
from shared.runtime.settings import Settings

log = logging.getLogger(__name__)

MIGRATIONS = (Path(__file__).parent / "migrations",)
POOL_SIZE = 10
POLICIES_LOOK_SECONDS = 1.0


class CaseFileSettings(Settings):
    """Who may ask: whose tokens are good, or, for trying, `local` (services/casefile/front/signin.py)."""

    casefile_signin: Literal["local"] | None = None
    casefile_issuer: str | None = None
    casefile_audience: str | None = None
    casefile_jwks: str | None = None
    casefile_tls: bool = False
    casefile_services: dict[str, str] = Field(default_factory=dict)
    """Service -> address of one of its processes, whose health is asked by who looks at what is stuck; JSON."""
    batch_records_max: int = 2_000
    """It reads more at a time than who decides: nobody waits for the answer to a single record."""


class _Edition:
    """Which tables a process works on; known once the database answers."""

    def __init__(self, choose: Callable[[CaseFileSettings], Awaitable[str]]) -> None:
        self.choose = choose
        self.name = ""

    async def schema(self, settings: CaseFileSettings) -> str:
        self.name = await self.choose(settings)
        return self.name


class _InForce:
    """The policies by now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = policies.load(folder, policies.load())
        self._looked_at = monotonic()

    def __call__(self) -> Policies:
        if monotonic() - self._looked_at > POLICIES_LOOK_SECONDS:
            self._looked_at = monotonic()
            try:
                self.known = policies.load(self.folder, self.known)
            except (policies.BrokenPolicy, OSError) as error:
                log.error("published, but not in force: %s", error)
        return self.known


class _Sending:
    """The way to the bus, which begins with the first command and ends with the process."""

    def __init__(self, sender: KafkaSender) -> None:
        self.sender = sender

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await self.sender.stop()


def _projections(tables: PostgresCaseTables, in_force: Callable[[], Policies]) -> list[Projection]:
    """The records first: the others ask for them."""
    return [KeptRecords(tables), MoneyOfOrders(in_force), StuckOfOrders()]


def _routers(
    settings: CaseFileSettings,
    pool: asyncpg.Pool,
    tables: PostgresCaseTables,
    desk: Desk,
    sender: KafkaSender,
    signin: SignIn,
) -> list[APIRouter]:
    ledger, own = PostgresLedgerTables(pool, tables.as_of), PostgresOwnTables(pool)
    stuck = PostgresStuckTables(pool, tables.as_of)
    planner = Planner(stuck, own, sender, KafkaRawBus(sender, connection(settings), settings.topic_prefix))
    operators = OperatorsDesk(stuck, own, tables, planner, settings.casefile_services)
    pages = Pages(desk, signin, OperatorsTables(operators, ledger))
    return [*for_operators(ledger, operators, desk), pages.router]


def following() -> Application[CaseFileSettings]:
    """Follows the topics into the edition that is shown, and shows it."""
    edition, doors = _Edition(shown), list[SignIn]()

    def parts(settings: CaseFileSettings, pool: asyncpg.Pool) -> Parts:
        if not doors:  # who is signed in stays so, whichever edition is shown
            doors.append(_signin(settings))
        tables, over = PostgresCaseTables(pool, settings.partitions), asyncio.Event()
        sender = KafkaSender(connection(settings), settings.topic_prefix)
        in_force = _InForce(settings.policies_folder)
        desk = Desk(tables, in_force, sender)
        return Parts(
            _projections(tables, in_force),
            background=[WatchShown(pool, edition.name, over), _Sending(sender)],
            fresh=tables.fresh,
            web=web.application(desk, doors[0], _routers(settings, pool, tables, desk, sender, doors[0])),
            web_options=SERVER,
            over=over,
        )

    return Application(
        CASE_FILE,
        lambda _: DECIDER,
        CaseFileSettings,
        parts,
        MIGRATIONS,
        edition.schema,
        pool_size=POOL_SIZE,
        again=True,
    )


def making() -> Application[CaseFileSettings]:
    """Makes another edition from the topics, while the one that is shown answers; then ends."""
    edition = _Edition(next_one)

    def parts(settings: CaseFileSettings, pool: asyncpg.Pool) -> Parts:
        tables, over = PostgresCaseTables(pool, settings.partitions), asyncio.Event()
        make = Make(settings, edition.name, tables, over)
        in_force = _InForce(settings.policies_folder)
        return Parts(_projections(tables, in_force), background=[make], fresh=tables.fresh, over=over)

    return Application(CASE_FILE, lambda _: DECIDER, CaseFileSettings, parts, MIGRATIONS, edition.schema)


def _signin(settings: CaseFileSettings) -> SignIn:
    return sign_in(
        settings.casefile_signin,
        settings.casefile_issuer,
        settings.casefile_audience,
        settings.casefile_jwks,
        settings.casefile_tls,
    )
