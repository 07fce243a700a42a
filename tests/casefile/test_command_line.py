"""`recourse …` against a case file that is served, as somebody types it."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.recourse import asking
from deploy.recourse.__main__ import main
from deploy.recourse.telling import plain
from services.casefile.front.http import application
from services.casefile.front.signin import sign_in
from tests.support.asking import served
from tests.support.casefile import MARKUP, Quarrel, open_office, quarrel

VERDICT = ["--refund", "10000", "--rationale", "It was thin.", "--rule", "shared-risk"]


@dataclass
class Terminal:
    quarrel: Quarrel
    capsys: pytest.CaptureFixture[str]

    def type(self, *words: str) -> str:
        self.capsys.readouterr()
        main(words)
        return self.capsys.readouterr().out

    def refused(self, *words: str) -> str:
        with pytest.raises(SystemExit) as why:
            main(words)
        return str(why.value.code)

    def json(self, *words: str) -> Any:
        return json.loads(self.type("--json", *words))


@contextlib.contextmanager
def running() -> Iterator[tuple[Quarrel, str]]:
    """In a thread, as it is somewhere else in life."""
    begun, over = threading.Event(), asyncio.Event()
    told: list[Any] = []

    async def work() -> None:
        office = await open_office()
        drone = await quarrel(office, "drone")
        async with served(application(office.desk, sign_in("local", None, None, None, False))) as port:
            told.extend((drone, f"http://127.0.0.1:{port}", asyncio.get_running_loop()))
            begun.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    try:
        assert begun.wait(60)
        yield told[0], told[1]
    finally:
        told[2].call_soon_threadsafe(over.set)
        thread.join()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    monkeypatch.delenv("RECOURSE_CASEFILE_URL", raising=False)
    monkeypatch.delenv("RECOURSE_CASEFILE_TOKEN", raising=False)
    monkeypatch.setattr(asking, "RUNNING", tmp_path / "casefile.json")
    with running() as (drone, url):
        asking.RUNNING.write_text(json.dumps({"url": url, "tokens": {}}))
        yield Terminal(drone, capsys)


def test_a_mediator_decides_and_sees_before_and_after_what_it_comes_to(terminal: Terminal) -> None:
    me = ["--me", terminal.quarrel.mediator]
    work = terminal.type("--role", "mediator", *me, "case", "list")
    assert "drone-1" in work
    assert "mediator_due" in work
    before = terminal.type("--role", "mediator", *me, "case", "show", "drone-1", "d1")
    assert "What each decision comes to" in before
    assert "If nobody acts" in before
    said = {"refund_minor": 10000, "return_required": False, "rationale": "Thin.", "rules": ["r"], "evidence_ids": []}
    decision = json.dumps(said)
    preview = terminal.type("--role", "mediator", *me, "case", "preview", "drone-1", "d1", "mediation.decide", decision)
    assert "buyer 100.00 EUR, seller 150.00 EUR" in preview
    assert terminal.refused(*me, "case", "decide", "drone-1", "d1", *VERDICT) == "Nobody is there to agree: say --yes."
    decided = terminal.type(*me, "case", "decide", "drone-1", "d1", *VERDICT, "--yes")
    assert "buyer 100.00 EUR, seller 150.00 EUR" in decided
    assert "mediation.decided" in decided
    (id_,) = (word.rstrip(":") for word in decided.split() if word.startswith("drone-1/"))
    assert "answered" in terminal.type("answer", id_)
    assert terminal.refused(*me, "case", "decide", "drone-1", "d1", *VERDICT, "--yes").startswith(
        "It would be refused:"
    )


def test_an_order_is_shown_through_the_eyes_of_others(terminal: Terminal) -> None:
    shown = terminal.type("order", "show", "drone-1", "--as", "seller")
    assert "seen as seller" in shown
    assert "What happened" in shown
    assert MARKUP in shown
    told = terminal.json("order", "show", "drone-1", "--as", "seller")
    assert told["viewer"] == "seller"
    assert not any(one["type"] == "mediation.offer_declined" for one in told["timeline"])
    placed = told["order"]["placed_at"]
    assert terminal.json("order", "show", "drone-1", "--at", placed)["at"] == placed
    assert [row["order_id"] for row in terminal.json("order", "list", "--status", "disputed")] == ["drone-1"]
    assert terminal.type("order", "list", "--status", "completed").strip() == "no orders"


def test_a_command_is_sent_and_its_answer_told(terminal: Terminal, tmp_path: Path) -> None:
    said = {"order_id": "drone-1", "dispute_id": "d1", "question_id": "q1", "to": "both", "question": "When?"}
    (tmp_path / "ask.json").write_text(json.dumps(said))
    me = ["--role", "mediator", "--me", terminal.quarrel.mediator]
    asked = terminal.json(*me, "send", "mediation.ask", str(tmp_path / "ask.json"), "--id", "drone-1/ask")
    assert (asked["status"], asked["command_id"]) == ("answered", "drone-1/ask")
    again = terminal.json(*me, "send", "mediation.ask", json.dumps(said), "--id", "drone-1/ask")
    assert (again["status"], again["command_id"]) == ("answered", "drone-1/ask")
    assert terminal.json(*me, "answer", "drone-1/ask")["is_final"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["order", "show", "nobody-knows"], "There is nothing of this name that you may see."),
        (["answer", "x"], "Which order was it about? Say --order."),
        (["send", "mediation.ask", "{}"], "Which order is it about? Say --order, or order_id in the data."),
        (["send", "mediation.ask", "[]", "--order", "drone-1"], "[] cannot be read: No such file or directory."),
        (["send", "mediation.ask", "{", "--order", "drone-1"], "That is no JSON"),
        (["send", "mediation.ask", "{}", "--order", "drone-1"], "type: mediation.ask.v1 is said by mediator"),
        (["order", "show", "drone-1", "--at", "yesterday"], "at: an instant is written as RFC 3339."),
        (["--role", "buyer", "order", "show", "drone-1", "--as", "seller"], "as: Operators alone"),
        (["--me", "ü", "order", "list"], "role: Sign in as one of"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(terminal: Terminal, words: list[str], why: str) -> None:
    assert terminal.refused(*words).startswith(why)


def test_where_nothing_runs_it_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URL", "TOKEN"):
        monkeypatch.delenv(f"RECOURSE_CASEFILE_{name}", raising=False)
    monkeypatch.setattr(asking, "RUNNING", tmp_path / "none.json")
    with pytest.raises(SystemExit, match="make run"):
        main(["case", "list"])
    monkeypatch.setenv("RECOURSE_CASEFILE_TOKEN", "secret")
    with pytest.raises(SystemExit, match="shown to nobody"):
        main(["case", "list"])
    monkeypatch.setenv("RECOURSE_CASEFILE_URL", "http://127.0.0.1:1")
    with pytest.raises(SystemExit, match=r"Nobody answers at 127\.0\.0\.1:1"):
        main(["case", "list"])


def test_what_somebody_wrote_moves_no_cursor() -> None:
    assert plain("\x1b[2J\u202eevil\x07 \n[red]x[/red]").plain == "\ufffd[2J\ufffdevil\ufffd  [red]x[/red]"
