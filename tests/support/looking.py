"""Somebody who looks at the case file's pages without a browser: what he is shown, and the forms he sends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

from deploy.stories.claims import disputed, escalated
from deploy.stories.dialogue import Participant, PlayedOrder, Scene
from schemas.visibility import Viewer
from services.casefile.front.http import application
from services.casefile.front.signin import SignIn, sign_in
from services.casefile.operating.stuck_api import OperatorsDesk
from services.casefile.pages.routes import Pages
from tests.support.asking import HOST, Answer, ask
from tests.support.casefile import Office
from tests.support.operating import operators_tables

INPUT = re.compile(r"<input\b[^>]*>")
ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


@dataclass(frozen=True)
class House:
    """The pages over an office; everybody may come in."""

    office: Office
    signin: SignIn
    app: Any
    operators: OperatorsDesk

    def visitor(self, role: Viewer, id_: str, language: str = "en") -> "Visitor":
        return Visitor(self, self.signin.hand_out(role, id_), language)


@dataclass(frozen=True)
class Visitor:
    """`sees` and `sends` are what his browser does; forms hold what the page gave him."""

    house: House
    token: str
    language: str

    @property
    def headers(self) -> dict[str, str]:
        cookie = f"{self.house.signin.cookie}={self.token}"
        return {"cookie": cookie, "accept-language": self.language, "accept": "text/html"}

    async def sees(self, address: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await ask(self.house.app, "GET", address, {**self.headers, **(headers or {})})

    async def sends(self, address: str, form: Mapping[str, str], origin: str = f"http://{HOST}") -> Answer:
        return await ask(self.house.app, "POST", address, {**self.headers, "origin": origin}, form=form)

    async def form(self, address: str) -> dict[str, str]:
        """The hidden fields of a page's own form."""
        return hidden((await self.sees(address)).body.decode())


def open_house(office: Office) -> House:
    signin = sign_in("local", None, None, None, False)
    tables = operators_tables(office)
    pages = Pages(office.desk, signin, tables)
    return House(office, signin, application(office.desk, signin, [pages.router]), tables.operators)


def hidden(page: str) -> dict[str, str]:
    """Of all forms of a page."""
    tags = (dict(ATTRIBUTE.findall(tag)) for tag in INPUT.findall(page))
    return {unescape(tag["name"]): unescape(tag["value"]) for tag in tags if tag.get("type") == "hidden"}


async def before_the_mediator(scene: Scene) -> tuple[PlayedOrder, Participant]:
    """A drone of 250.00 came with cracked glass, the seller said no, and a mediator has the case."""
    case = await scene.disputable_order(drone=250_00)
    await disputed(case, 250_00)
    await case.seller.says("dispute.reject", dispute_id="d1", message="It flew when it left us.")
    return case, await escalated(case)
