"""Several services in one process: each speaks for itself, and one that ends ends them all."""

import asyncio
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from schemas.topics import SERVICES
from services.refund.app import RefundSettings
from shared.runtime import logs, process, web
from shared.runtime.logs import JsonLines
from shared.runtime.settings import Settings, read
from tests.support.waiting import until_true

ONLY_THE_NAMED = """
import runpy, sys
from shared.runtime import process
def run(*applications):
    loaded = {name.split(".")[1] for name in sys.modules if name.startswith("services.")}
    print([one.service for one in applications], sorted(loaded - {"__main__"}))
process.run = run
sys.argv = ["services", "timer", "refund"]
runpy.run_module("services", run_name="__main__")
"""


run: Any = process.run
"""As a stranger to its types: all it takes of an application is what `Service` has."""


@dataclass
class Service:
    """What a process is given, and what becomes of it."""

    service: str
    work: Callable[[], Awaitable[None]]
    settings: type[Settings] = Settings
    told: list[str] = field(default_factory=list)

    async def run(self, settings: Settings) -> None:
        self.told.append("began")
        try:
            await self.work()
        finally:
            await asyncio.sleep(0)  # giving back takes its time
            self.told.append("gave back")


@pytest.fixture(autouse=True)
def _no_log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "start", lambda service, *settings: None)


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _refuses() -> None:
    await asyncio.sleep(0)  # the others have begun
    raise SystemExit("RECOURSE_DATABASE_URL: there is no such database")


async def _has_a_bug() -> None:
    await asyncio.sleep(0)
    raise KeyError("what it was about")


async def _is_told_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await _for_ever()


def test_what_is_asked_to_end_gives_back_what_all_of_them_have() -> None:
    services = [Service("order", _for_ever), Service("refund", _is_told_to_end), Service("timer", _for_ever)]
    run(*services)
    assert [one.told for one in services] == [["began", "gave back"]] * 3


def test_one_that_cannot_start_is_named_and_the_others_give_back() -> None:
    other = Service("order", _for_ever)
    with pytest.raises(SystemExit, match=r"^refund: RECOURSE_DATABASE_URL: there is no such database$"):
        run(other, Service("refund", _refuses))
    assert other.told == ["began", "gave back"]


def test_what_nobody_foresaw_is_logged_with_the_name_of_the_service(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonLines("order+refund"))
    other = Service("order", _for_ever)
    with pytest.raises(SystemExit, match=r"^refund: unexpected error"):
        run(other, Service("refund", _has_a_bug))
    assert '"service": "refund", "event": "it ends"' in caplog.text
    assert "KeyError" in caplog.text
    assert other.told == ["began", "gave back"]


async def test_every_line_says_which_service_it_is_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonLines("order+timer"))
    caplog.set_level(logging.INFO)

    async def speaks(service: str) -> None:
        logs.speak_for(service)
        await asyncio.sleep(0)
        await asyncio.gather(asyncio.create_task(_logs()), asyncio.to_thread(logging.info, "in a thread"))

    await asyncio.gather(speaks("order"), speaks("timer"))
    logging.info("of nobody")
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert sorted((line["service"], line["event"]) for line in lines) == [
        ("order", "in a task"),
        ("order", "in a thread"),
        ("order+timer", "of nobody"),
        ("timer", "in a task"),
        ("timer", "in a thread"),
    ]


async def _logs() -> None:
    logging.info("in a task")


def test_what_is_said_for_one_service_alone_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOURSE_HTTP_PORT", "8080")
    monkeypatch.setenv("RECOURSE_PARTITIONS", "4")
    monkeypatch.setenv("RECOURSE_REFUND_HTTP_PORT", "8081")
    monkeypatch.setenv("RECOURSE_REFUND_DATABASE_URL", "postgresql://refund@db/refund")
    monkeypatch.setenv("RECOURSE_REFUND_PROVIDER", "sandbox")  # a setting of its own, not a `provider` of anybody's
    order, refund = read(Settings, "order"), read(RefundSettings, "refund")
    assert (order.http_port, order.partitions, order.database_url) == (8080, 4, Settings().database_url)
    assert (refund.http_port, refund.partitions, refund.refund_provider) == (8081, 4, "sandbox")
    assert refund.database_url == "postgresql://refund@db/refund"


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("RECOURSE_HTTP_PORT", "eighty", "timer: RECOURSE_HTTP_PORT: Input should be a valid integer"),
        ("RECOURSE_TIMER_HTTP_PORT", "65536", "timer: RECOURSE_HTTP_PORT: Input should be less than or equal to 65535"),
        ("RECOURSE_KAFKA_PASSWORD", "hush", "timer: Value error, RECOURSE_KAFKA_USERNAME and RECOURSE_KAFKA_PASSWORD"),
    ],
)
def test_a_setting_that_makes_no_sense_is_said_with_the_name_of_the_service(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as refused:
        run(Service("timer", _for_ever))
    assert str(refused.value).startswith(sentence)
    assert value not in str(refused.value)


@pytest.mark.parametrize("names", [[], ["order", "refnd"], ["order", "order"], ["casefile"]])
def test_a_wrong_name_is_refused_in_a_sentence(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["services", *names])
    monkeypatch.setattr(process, "run", lambda *applications: None)
    with pytest.raises(SystemExit, match=f"some of these, each once: {', '.join(SERVICES)}. It was given:"):
        runpy.run_module("services", run_name="__main__")


def test_those_that_are_named_are_run_and_no_other_is_loaded() -> None:
    told = subprocess.run([sys.executable, "-c", ONLY_THE_NAMED], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "['timer', 'refund'] ['refund', 'timer']"


async def test_who_is_ended_answers_no_more_and_ends_what_it_serves_in_good_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for event in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{event}"
            await asyncio.sleep(0)
            told.append(event)
            await send({"type": f"lifespan.{event}.complete"})

    with web.listen(Settings()) as listening:
        serving = asyncio.create_task(web.serve(listening, app, interface="asgi3", lifespan="on"))
        await until_true(lambda: bool(told))
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    assert told == ["startup", "shutdown"]
