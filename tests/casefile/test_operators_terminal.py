"""What operators ask from a terminal: the same questions as over HTTP, and nothing done that was not looked at."""

import asyncio
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from deploy.recourse.__main__ import parser
from deploy.recourse.asking import Client
from services.casefile.operating.stuck import StuckRow
from shared.runtime.memory import START
from tests.casefile.test_operators import GARBAGE, OLGA, Office, office
from tests.support.asking import ask, served

__all__ = ["office"]


@dataclass
class InMemory:
    """As deploy.recourse.asking.Client has it, without a server; answers are fetched before, for nothing waits here."""

    office: Office
    asked: list[str]

    async def run(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
        """(how it ended, what it said)."""
        arguments = parser().parse_args(words)
        capture: dict[tuple[str, str, bytes, str], Any] = {}
        ended: object = 0
        while True:
            client = Scripted(capture)
            try:
                arguments.run(client, arguments)
            except Missing as missing:
                capsys.readouterr()
                capture[missing.question] = await self._answer(missing.question)
                continue
            except SystemExit as end:
                ended = end.code
            return ended, capsys.readouterr().out

    async def _answer(self, question: tuple[str, str, bytes, str]) -> Any:
        method, address, body, kind = question
        self.asked.append(f"{method} {address}")
        headers = self.office.counter.bearer(OLGA) | ({"content-type": kind} if kind else {})
        got = await ask(self.office.app, method, address, headers, body)
        return got.json if got.status in (200, 202) else SystemExit(got.json["detail"])


class Missing(Exception):
    def __init__(self, question: tuple[str, str, bytes, str]) -> None:
        self.question = question


@dataclass
class Scripted(Client):
    known: dict[tuple[str, str, bytes, str], Any]

    def _asked(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, Any],
        said: object = None,
        more: Mapping[str, str] | None = None,
    ) -> Any:
        is_json = said is not None and not isinstance(said, bytes)
        body = said if isinstance(said, bytes) else json.dumps(said).encode() if is_json else b""
        kind = "application/json" if is_json else (more or {}).get("content-type", "")
        left = urlencode({name.rstrip("_"): one for name, one in query.items() if one is not None})
        question = (method, f"/v1/{'/'.join(path)}?{left}".rstrip("?"), body, kind)
        if question not in self.known:
            raise Missing(question)
        if isinstance(answer := self.known[question], SystemExit):
            raise answer
        return answer


@pytest.fixture
def terminal(office: Office) -> InMemory:
    return InMemory(office, [])


async def test_what_is_stuck_is_listed_with_what_frees_it(
    terminal: InMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"settlement_id": "o2.s1", "leg": "refund"}
    terminal.office.stuck.rows += [StuckRow("manual_review", "o2", START, "k", "no_answer", place)]
    ended, said = await terminal.run(capsys, "stuck")
    assert ended == 0
    assert "manual_review" in said
    assert 'recourse send refund.retry.v1 \'{"settlement_id":"o2.s1","leg":"refund"}\' --order o2' in said
    (command,) = (one.strip() for one in said.splitlines() if one.strip().startswith("recourse send"))
    typed = parser().parse_args(shlex.split(command)[1:])
    assert (typed.type, json.loads(typed.data), typed.order) == ("refund.retry.v1", place, "o2")
    _, said = await terminal.run(capsys, "stuck", "--kind", "parked")
    assert "manual_review" not in said


async def test_dead_letters_are_listed_then_redriven_by_the_token_of_the_list(
    terminal: InMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    world = terminal.office.counter.office.stage.world
    world.bus.append("order.commands", b"o1", b"{}", GARBAGE)
    await world.settle()
    ended, said = await terminal.run(capsys, "redrive", "--reason", "no_ce_id")
    assert ended == 0
    token = said.partition("--apply ")[2].split()[0]
    assert len([*world.bus.records("order.dead-letters")]) == 1
    ended, _ = await terminal.run(capsys, "redrive", "--reason", "no_ce_id", "--apply", token)
    assert "--why" in str(ended)
    ended, _ = await terminal.run(capsys, "redrive", "--apply", token[::-1], "--why", "x")
    assert "another one" in str(ended)
    ended, said = await terminal.run(capsys, "redrive", "--reason", "no_ce_id", "--apply", token, "--why", "Mended.")
    assert ended == 0
    assert "done" in said
    await world.settle()
    assert len([*world.bus.records("order.dead-letters")]) == 2
    _, said = await terminal.run(capsys, "audit")
    assert "Mended." in said


async def test_the_books_are_read_and_compared_with_a_banks_file(
    terminal: InMemory, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = terminal.office.ledger.all()[0]
    day = str(first.booked_at.date())
    _, said = await terminal.run(capsys, "ledger", "statement", "--day", day)
    assert "escrow" in said
    _, said = await terminal.run(capsys, "ledger", "entries", "--account", "buyers")
    assert said.splitlines()[0].startswith("entry_id,order_id")
    assert len(said.splitlines()) == 1 + len(terminal.office.ledger.all())
    monkeypatch.setattr("deploy.recourse.asking.PAGE_ROWS", 1)
    _, in_pages = await terminal.run(capsys, "ledger", "entries", "--account", "buyers")
    assert in_pages == said
    _, told = await terminal.run(capsys, "--json", "ledger", "entries")
    assert len(json.loads(told)) == len(terminal.office.ledger.all()) > 1
    _, said = await terminal.run(capsys, "ledger", "balances")
    assert "buyers" in said
    file = tmp_path / "bank.csv"
    rows = [f"{one.payment_id},{one.amount_minor},{one.booked_at.date()},EUR" for one in terminal.office.ledger.all()]
    file.write_text("\n".join(["reference,amount_minor,date,currency", *rows]))
    ended, said = await terminal.run(capsys, "ledger", "match", str(file))
    assert (ended, f"{len(rows)} matched" in said) == (0, True)
    file.write_text("\n".join(["reference,amount_minor,date,currency", *rows[1:], f"stranger,5,{day},EUR"]))
    ended, said = await terminal.run(capsys, "ledger", "match", str(file))
    assert ended == 1
    assert "stranger" in said
    assert str(first.payment_id) in said
    ended, _ = await terminal.run(capsys, "ledger", "match", str(tmp_path / "none"))
    assert "cannot be read" in str(ended)


async def test_notes_are_read_and_added(terminal: InMemory, capsys: pytest.CaptureFixture[str]) -> None:
    order_id = terminal.office.counter.drone.order_id
    await terminal.run(capsys, "note", order_id, "d1", "He has \x1b[31mcalled.")
    _, said = await terminal.run(capsys, "note", order_id, "d1")
    assert "called." in said
    assert "\x1b[31m" not in said


async def test_a_file_is_sent_as_it_is(office: Office) -> None:
    first = office.ledger.all()[0]
    content = f"reference,amount_minor,date,currency\n{first.payment_id},1,{first.booked_at.date()},EUR\n".encode()
    token = office.counter.bearer(OLGA)["authorization"].removeprefix("Bearer ")
    async with served(office.app) as port:
        client = Client(f"http://127.0.0.1:{port}", token)
        shown = await asyncio.to_thread(client.upload, "ledger", "match", content=content, kind="text/csv")
        client.close()
    assert [one["reference"] for one in shown["differs"]] == [first.payment_id]
