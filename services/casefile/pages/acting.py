"""The pages on which somebody acts: a form of the command's own fields, what it comes to, and the confirmation.

The command's id is made with the form, so that a form sent twice is one command (R81); a form that came back with a
refusal is a new one. The consequence that was shown is named as `expect`, where the command has it (R29): if the truth
is another by then, it is refused and nothing happens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from schemas.wire import MEDIATORS_KEY, Actor, Command
from services.casefile.front.desk import Desk
from services.casefile.front.turned_away import Unavailable, Wrong
from services.casefile.front.uttering import allowed
from services.casefile.pages.forms import (
    Filled,
    Form,
    expectations,
    filled,
    fixed_of,
    place_of,
    rows_typed,
    typed_of,
)
from services.casefile.pages.viewing import signed_in
from services.casefile.pages.visit import Visit
from services.casefile.shown.reading import Asked
from services.casefile.shown.shapes import OutcomeShown, Why

WAIT_SECONDS = 5.0
"""Who has no answer by then sees that it is on its way."""
FIXED = "fixed:"
OF_THE_FORM = ("csrf", "command_id", "step", "expect")


@dataclass(frozen=True)
class Filling:
    """What one form is about, and what was typed into it so far."""

    visit: Visit
    asked: Asked
    order_id: str
    form: Form
    typed: Mapping[str, str]
    command_id: str

    @property
    def type_(self) -> str:
        return self.form.model.type.rpartition(".")[0]

    @property
    def dispute_id(self) -> str | None:
        return self.form.fixed.get("dispute_id")

    @property
    def back(self) -> str:
        return f"/cases/{self.order_id}/{self.dispute_id}" if self.dispute_id else f"/orders/{self.order_id}"

    def read(self) -> Filled:
        actor = Actor(role=self.asked.role, id=self.asked.id)
        return filled(self.form, self.typed, self.order_id, actor, self.visit.words)

    def page(self, problems: Mapping[str, str] | None = None) -> str:
        """The form, anew where it came back."""
        words, currency = self.visit.words, self.form.currency
        hidden = typed_of(self.form.fixed, currency, words)
        return self.visit.made(
            "act.html",
            type=self.type_,
            form=self.form,
            typed=self.typed,
            problems=problems or {},
            hidden=hidden,
            about=self._facts(hidden),
            currency=currency,
            command_id=str(uuid4()),
            made=lambda name: f"{name.rpartition('.')[2][0]}-{uuid4().hex[:10]}",
            address=f"/orders/{self.order_id}/acts/{self.type_}",
            back=self.back,
            dispute_id=self.dispute_id,
        )

    def _facts(self, typed: Mapping[str, str]) -> list[tuple[str, str]]:
        """What is said, for people: label's field and text."""
        words = self.visit.words
        return [
            (name, f"{text} {self.form.currency}" if name.endswith("_minor") else _worded(text, words))
            for name, text in typed.items()
        ]

    def confirmation(
        self, outcome: OutcomeShown | None, expect: str | None, now: Any, problem: str | None = None
    ) -> str:
        """What it comes to, and the button that sends it."""
        words = self.visit.words
        hidden = typed_of(self.form.fixed, self.form.currency, words)
        made = {leaf.name for one in self.form.fields for leaf in one.leaves() if leaf.is_made}
        shown = {name: text for name, text in self.typed.items() if text.strip() and name not in made}
        return self.visit.made(
            "confirm.html",
            type=self.type_,
            summary=self._facts(hidden | shown),
            typed=self.typed,
            hidden=hidden,
            expect=expect,
            outcome=outcome,
            problem=problem,
            currency=self.form.currency,
            now=now,
            command_id=self.command_id,
            address=f"/orders/{self.order_id}/acts/{self.type_}",
            back=self.back,
            dispute_id=self.dispute_id,
        )


class Acting:
    """Both methods raise TurnedAway."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def form(self, visit: Visit, request: Request) -> str:
        """Of a link: `fixed:…` is what the command must say as it is, the rest what the form begins with."""
        typed = dict(request.query_params)
        return (await self._filling(visit, request, typed, "")).page()

    async def said(self, visit: Visit, request: Request, sent: FormData) -> Response:
        """`step`: preview, confirm, change, or `more:` rows of a list."""
        typed = {name: "\n".join(str(one) for one in sent.getlist(name)) for name in sent}
        step, _, more = typed.get("step", "").partition(":")
        filling = await self._filling(visit, request, typed, more or None)
        if not filling.command_id:
            return HTMLResponse(filling.page({"": visit.words.word("act_wrong_form")}), 422)
        if step in ("more", "change"):
            return HTMLResponse(filling.page())
        read = filling.read()
        if read.wrong:
            return HTMLResponse(filling.page(read.wrong), 422)
        if step == "confirm":
            return await self._confirmed(filling, read.data, typed.get("expect"))
        return await self._previewed(filling, read.data)

    async def _previewed(self, filling: Filling, data: Mapping[str, Any]) -> Response:
        named = expectations(filling.form.model) or (None,)
        outcome: OutcomeShown | None = None
        expect: str | None = None
        for expect in named:
            try:
                outcome = await self.desk.preview(
                    filling.asked, filling.order_id, filling.form.model.type, _with(data, expect)
                )
            except Wrong:
                outcome = None  # of what stands outside of an order nothing can be told beforehand
            if outcome is None or outcome.refused is None or outcome.refused.code != "consequence_changed":
                break
        if outcome is not None and outcome.refused is not None:
            return HTMLResponse(filling.page(_problem(filling.form, outcome.refused)), 422)
        return HTMLResponse(filling.confirmation(outcome, expect, self.desk.clock()))

    async def _confirmed(self, filling: Filling, data: Mapping[str, Any], expect: str | None) -> Response:
        try:
            shown = await self.desk.send(
                filling.asked,
                filling.order_id,
                filling.form.model.type,
                _with(data, expect),
                filling.command_id,
                WAIT_SECONDS,
                filling.visit.words.language,
            )
        except Unavailable as away:
            page = filling.confirmation(None, expect, self.desk.clock(), away.sentence)
            return HTMLResponse(page, away.status, {"retry-after": str(away.retry_after_seconds)})
        if shown.status == "refused" and shown.why is not None:
            return HTMLResponse(filling.page(_problem(filling.form, shown.why)), 422)
        about = f"?{urlencode({'dispute': filling.dispute_id})}" if filling.dispute_id else ""
        return RedirectResponse(f"/orders/{filling.order_id}/commands/{filling.command_id}{about}", 303)

    async def _filling(self, visit: Visit, request: Request, typed: Mapping[str, str], more: str | None) -> Filling:
        asked, order_id = signed_in(visit), request.path_params["order_id"]
        model = allowed(request.path_params["type"], asked.role)
        free = {name: text for name, text in typed.items() if not name.startswith(FIXED) and name not in OF_THE_FORM}
        currency, choices = await self._known(visit, asked, order_id, typed.get(f"{FIXED}dispute_id"))
        fixed = self._fixed(model, typed, currency, visit)
        form = Form(model, fixed, currency, choices, rows_typed(free, more))
        return Filling(visit, asked, order_id, form, free, typed.get("command_id", ""))

    def _fixed(self, model: type[Command], typed: Mapping[str, str], currency: str, visit: Visit) -> dict[str, Any]:
        named = {name.removeprefix(FIXED): text for name, text in typed.items() if name.startswith(FIXED)}
        try:
            return fixed_of(model, named, currency, visit.words)
        except ValueError as wrong:
            raise Wrong(str(wrong)) from None

    async def _known(
        self, visit: Visit, asked: Asked, order_id: str, dispute_id: str | None
    ) -> tuple[str, dict[str, tuple[tuple[str, str], ...]]]:
        """The order's currency, and what of it a field may name."""
        if order_id == MEDIATORS_KEY and asked.role == "operator":
            return "", {}
        order = await self.desk.order(asked, order_id, locale=visit.words.language)
        lines = tuple((line.line_id, f"{line.line_id}: {line.title}") for line in order.order.lines)
        choices = {"line_id": lines, "lines": lines}
        if dispute_id is not None:
            case = await self.desk.case(asked, order_id, dispute_id, locale=visit.words.language)
            choices["evidence_ids"] = tuple((file.evidence_id, file.evidence_id) for file in case.evidence)
        return order.order.currency, choices


def _with(data: Mapping[str, Any], expect: str | None) -> dict[str, Any]:
    return {**data, **({} if expect is None else {"expect": expect})}


def _problem(form: Form, why: Why) -> dict[str, str]:
    return {place_of(why.code, why.details, form): why.message}


def _worded(text: str, words: Any) -> str:
    """Where it is a word of the contract it is said in the reader's language."""
    return {"yes": words.word("yes"), "no": words.word("no")}.get(text, words.value(text)) if "\n" not in text else text
