"""The baseline as a process of its own, on a database of its own, and who plays lifecycles with it."""

import asyncio
import json
import sys
from collections.abc import Iterable

import asyncpg

from deploy.local.postgres import Postgres
from deploy.local.processes import Child, free_port
from deploy.local.reaper import Reaper
from deploy.local.stack import REPO, Stack
from tests.bench.steps import person, steps

SPLIT = """
SELECT order_id, sum(amount_minor) FILTER (WHERE account = 'buyer' AND version > 1)::bigint,
    sum(amount_minor) FILTER (WHERE account = 'seller')::bigint FROM ledger GROUP BY order_id
"""


class Baseline(Child):
    """`by_hand.py`; `postgres` is its own server, so that what each side costs is known."""

    def __init__(self, stack: Stack, reaper: Reaper) -> None:
        logs = stack.folder / "logs"
        super().__init__("The baseline", logs / "baseline.log", reaper)
        self.postgres = Postgres(stack.folder / "baseline", reaper, logs / "baseline-postgres.log")

    async def start(self) -> None:
        await self.postgres.start()
        self.port = free_port()
        argv = [sys.executable, "-m", "tests.bench.by_hand", self.postgres.url, str(self.port)]
        self._spawn(argv, cwd=REPO)
        await self._until(self._answers)

    async def stop(self, seconds: float = 15) -> None:
        await super().stop(seconds)
        await self.postgres.drop()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def play(self, name: str, lives: int, at_once: int) -> None:
        """So many lifecycles, so many at a time, a connection each. Raises RuntimeError for a command that is
        refused."""
        numbers = iter(range(lives))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, lives)):
                group.create_task(self._converse(name, numbers))

    async def _converse(self, name: str, numbers: Iterable[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for number in numbers:
            order_id, mediator = f"{name}-{number}", ""
            for step in steps(order_id, number):
                who = {"role": step.role, "id": mediator if step.role == "mediator" else person(number, step.role)}
                id_ = f"{order_id}/{step.command}/{step.role}"
                command = {"id": id_, "type": step.command, "order_id": order_id, "actor": who, **step.data}
                writer.write(json.dumps(command).encode() + b"\n")
                answer = json.loads(await reader.readline())
                if "refused" in answer:
                    raise RuntimeError(f"{id_}: {answer['refused']}")
                mediator = answer["mediator"] or ""
        writer.close()

    async def split(self) -> dict[str, tuple[int, int]]:
        """Order -> what buyer and seller ended with, minor units."""
        connection = await asyncpg.connect(self.postgres.url)
        rows = await connection.fetch(SPLIT)
        await connection.close()
        return {order_id: (refunded, paid_out) for order_id, refunded, paid_out in rows}
