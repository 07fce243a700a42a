"""A market whose people say again what nobody answers, and an operator who types what docs/OPERATIONS.md says."""

import asyncio
import json
import sys
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError

import psutil

from deploy.local.stack import REPO, Stack
from schemas.topics import SERVICES
from tests.faults.market import Market, Order
from tests.support.commands import Given, command
from tests.support.waiting import until

AGAIN_SECONDS = 8.0
SENDING_SECONDS = 15.0
NOTICED_SECONDS = 180.0
REASON = "rehearsal"


class PatientOrder(Order):
    async def says(self, name: str, role: str, **data: Any) -> str:
        """Under the same id, until it is answered: what lay unread when a log was lost is lost."""
        self._said += 1
        command_id = f"{self.id}/{self._said}"
        person = data.pop("person", self.person(role))
        given = command(f"{name}.v1", self.id, role, person, data, command_id)
        while True:
            await self.market.send(given)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS):
                    answer = await self.hears(lambda seen: seen.causation_id == command_id, f"an answer to {name}")
                    return str(answer.data["code"]) if answer.type.endswith(".rejected") else answer.type


class Town(Market):
    async def send(self, given: Given) -> None:
        """A client that was told by one cluster who it is may wait for ever at another one: then with a new one."""
        while True:
            try:
                async with asyncio.timeout(SENDING_SECONDS):
                    return await super().send(given)
            except TimeoutError:
                await self._give_up(self._producer)

    def order(self, order_id: str, policy: str = "demo") -> Order:
        self.orders[order_id] = PatientOrder(self, order_id, policy)
        return self.orders[order_id]


class Operator:
    """Reads /health and types commands."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.told: list[str] = []
        """What the commands printed."""
        self.left: list[str] = []
        """What they say a person must look at."""

    async def sees_trouble(self, services: Sequence[str], recipe: str) -> None:
        """Until each of these says it on /health."""

        said: list[list[dict[str, str]]] = []

        async def all_say() -> bool:
            said[:] = [await asyncio.to_thread(self._problems, service) for service in services]
            return all(any(one["recipe"].endswith(f"#{recipe}") for one in problems) for problems in said)

        try:
            await until("they say it", all_say, NOTICED_SECONDS)
        except TimeoutError:
            log = self.stack.services[services[0]].log.read_text(errors="replace").splitlines()[-10:]
            raise AssertionError("\n".join([f"{services} never said {recipe}, but {said}", *log])) from None

    def _problems(self, service: str) -> list[dict[str, str]]:
        for connection in psutil.Process(self.stack.services[service].pid).net_connections():
            if connection.status == psutil.CONN_LISTEN:
                address = f"http://127.0.0.1:{connection.laddr.port}/health"
                try:
                    with urllib.request.urlopen(address, timeout=5) as answer:
                        body = answer.read()
                except HTTPError as unwell:
                    body = unwell.read()
                except OSError:
                    continue
                problems: list[dict[str, str]] = json.loads(body)["problems"]
                return problems
        return []

    async def stops(self, services: Sequence[str] = SERVICES) -> None:
        await asyncio.gather(*(self.stack.services[service].stop() for service in services))

    async def starts(self, services: Sequence[str] = SERVICES, *, ready: bool = True) -> None:
        """`ready`: until they hold their shards, which one that is not served does not let them."""
        for service in services:
            self.stack.services[service].launch()
        if ready:
            await asyncio.gather(*(self.stack.services[service].ready() for service in services))

    async def repairs(self, command: str, service: str, *words: str) -> str:
        """`python -m deploy.repair …`, with the service's own environment."""
        status, said, error = await self._repair(command, service, *words)
        assert status == 0, f"{command} {service} {words}: {said}{error}"
        self.told.append(f"$ {command} {service} {' '.join(words)}\n{said}")
        self.left += [line.strip() for line in said.splitlines() if line.startswith("  ")]
        return said

    async def cannot_repair(self, command: str, service: str, *words: str) -> str:
        """Why not."""
        status, said, error = await self._repair(command, service, *words)
        assert status != 0, said
        return said + error

    async def _repair(self, command: str, service: str, *words: str) -> tuple[int | None, str, str]:
        arguments = [sys.executable, "-m", "deploy.repair", command, service, *words]
        if command != "list":
            arguments += ["--reason", REASON, "--yes"]
        process = await asyncio.create_subprocess_exec(
            *arguments,
            cwd=REPO,
            env=self.stack.services[service].env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        return process.returncode, out.decode(), error.decode()
