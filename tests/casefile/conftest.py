"""Two orders of different people, each with a dispute before a mediator, and the case file about them over HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI

from schemas.visibility import Viewer
from services.casefile.front.http import application
from services.casefile.front.signin import SignIn, sign_in
from services.casefile.shown.reading import Asked
from tests.support.asking import Answer, ask
from tests.support.casefile import Office, Quarrel, open_office, quarrel


@dataclass(frozen=True)
class Counter:
    """Where the case file is asked by whoever is signed in."""

    office: Office
    drone: Quarrel
    other: Quarrel
    signin: SignIn
    app: FastAPI

    def bearer(self, asked: Asked) -> dict[str, str]:
        assert self.signin.local is not None
        return {"authorization": f"Bearer {self.signin.local.token(asked)}"}

    async def get(self, asked: Asked, address: str, **headers: str) -> Answer:
        return await ask(self.app, "GET", address, self.bearer(asked) | headers)

    async def post(self, asked: Asked, address: str, said: object, **headers: str) -> Answer:
        return await ask(self.app, "POST", address, self.bearer(asked) | headers, said=said)

    async def send(self, role: Viewer, type_: str, data: Mapping[str, Any], wait: int = 5, **more: Any) -> Answer:
        """About the drone, as one of its people."""
        said = {"type": type_, "order_id": self.drone.order_id, "data": data, **more}
        return await self.post(self.drone.who(role), "/v1/commands", said, prefer=f"wait={wait}")


async def _opened() -> Counter:
    office = await open_office()
    drone, other = await quarrel(office, "drone"), await quarrel(office, "tent")
    signin = sign_in("local", None, None, None, False)
    return Counter(office, drone, other, signin, application(office.desk, signin))


@pytest.fixture
async def counter() -> Counter:
    return await _opened()


@pytest.fixture(scope="session")
async def looking() -> Counter:
    """For those who change nothing."""
    return await _opened()
