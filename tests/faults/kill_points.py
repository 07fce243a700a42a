"""`python -m tests.faults.kill_points services.order`: a service that ends itself by SIGKILL at one of its steps.

Which one RECOURSE_TEST_DIE_AT says: `store.commit.after:3` is right after the third commit. The product knows nothing
of this: behind each door through which a service reaches the world a subclass is put that counts, and dies.
"""

import ast
import inspect
import json
import os
import runpy
import signal
import sys
import textwrap
import types
from collections.abc import Callable, Container, Coroutine, Generator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from services.composition import DECIDERS
from services.notification.smtp import Smtp
from services.notification.webhooks import Webhooks
from shared.kernel.ports import InputSource, Projection, Publisher, Source, Store
from shared.runtime import shard_loop
from shared.runtime.parts import BackgroundTask

DIE_AT = "RECOURSE_TEST_DIE_AT"
KNOWN_PLACES = "RECOURSE_TEST_KNOWN_PLACES"
"""Where others have died inside of the same call, as JSON: it is more to be seen elsewhere."""
SPARED_MAX = 3
REPO = Path(__file__).parents[2]
OURS = ("shared", "services")
BROUGHT = {"source.take", "store.unpublished", "inputs.due"}
"""Asked again and again: that the answer was nothing is not counted as a call that has ended."""


@dataclass(frozen=True)
class Door:
    """A protocol, and where the class behind it has its name."""

    protocol: type
    module: str
    name: str
    besides: tuple[str, ...] = ()
    """Methods that no protocol names, and in which something happens outside."""

    @property
    def methods(self) -> list[str]:
        """All that the protocol names, and will name."""
        named = [name for name, found in vars(self.protocol).items() if inspect.isfunction(found)]
        return [name for name in named if not name.startswith("_")] + list(self.besides)

    def behind(self, method: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(getattr(import_module(self.module), self.name), method)
        return found


KIT = "shared.runtime.application"
DOORS = {
    "source": Door(Source, KIT, "KafkaSource"),
    "store": Door(Store, KIT, "PostgresStore"),
    "publisher": Door(Publisher, KIT, "KafkaPublisher"),
}
DOORS_OF: dict[str, dict[str, Door]] = {
    "timer": {
        "projection": Door(Projection, "services.timer.app", "Timers"),
        "inputs": Door(InputSource, "services.timer.app", "Timers"),
    },
    "refund": {
        "projection": Door(Projection, "services.refund.app", "Ledger"),
        "sandbox": Door(BackgroundTask, "services.refund.app", "Sandbox", besides=("_answers",)),
        "sandbox publisher": Door(Publisher, "services.refund.gateway", "KafkaPublisher"),
    },
    "notification": {
        "projection": Door(Projection, "services.notification.app", "Deliveries"),
        "inputs": Door(InputSource, "services.notification.app", "Deliveries"),
        "mail": Door(Smtp, "services.notification.app", "Smtp"),
        "webhook": Door(Webhooks, "services.notification.app", "Webhooks"),
    },
}


def doors(service: str) -> dict[str, Door]:
    return DOORS | DOORS_OF.get(service, {})


@dataclass(frozen=True)
class Step:
    """`before` and `after` a call; `inside`: while it waits for what is outside (each wait counts as one);
    `halfway`: when half of the rows of a wave are acknowledged, and the others were never sent."""

    door: str
    method: str
    when: str

    def __str__(self) -> str:
        return f"{self.door}.{self.method}.{self.when}"

    @property
    def call(self) -> str:
        return f"{self.door}.{self.method}"


def steps(service: str) -> list[Step]:
    """Every step there is, whether the service can reach it or not."""
    return [
        Step(name, method, when)
        for name, door in doors(service).items()
        for method in door.methods
        for when in _moments(door, method)
    ]


def _moments(door: Door, method: str) -> tuple[str, ...]:
    if door.protocol is Publisher and method == "send":
        return ("before", "inside", "halfway", "after")
    return ("before", "inside", "after") if inspect.iscoroutinefunction(door.behind(method)) else ("before", "after")


def unreachable(service: str, step: Step) -> str:
    """Why the service never comes to this step; empty if it does."""
    behind = doors(service)[step.door].behind(step.method)
    if step.call == "sandbox.run" and step.when == "after":
        return "it is done when it is cancelled, and never before"
    if step.when == "inside" and not _waits(behind):
        return "nothing is waited for in it"
    decider = next((one for name, one in DECIDERS.items() if name == service), None)
    if step.call in ("store.load", "store.answered") and decider is not None and decider.is_stateless:
        return "it keeps no state that could be loaded"
    if step.call == "store.answered" and decider is not None and not decider.inbox:
        return "nobody commands it"
    return ""


def _waits(function: Callable[..., Any]) -> bool:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor) for node in ast.walk(tree))


# -- in the process that is to die ------------------------------------------------------------------------------------


class Fate:
    """Counts; and when it is time, ends everything. Where others have died it spares, for a while."""

    def __init__(self, step: Step, nth: int, known: Container[str] = ()) -> None:
        self.step, self.left, self.known = step, nth, known

    def is_now(self, place: str = "") -> bool:
        self.left -= 1
        return self.left <= -SPARED_MAX or (self.left <= 0 and place not in self.known)

    def comes(self, place: str = "") -> None:
        if self.is_now(place):
            self.strike(place)

    def strike(self, place: str = "") -> NoReturn:
        """Nothing is flushed, closed or told; what was written before is for whoever looks at the log."""
        word = {"level": "info", "event": "dying", "at": str(self.step), "place": place}
        os.write(sys.stdout.fileno(), f"\n{json.dumps(word)}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL cannot be survived")


@types.coroutine
def _watched(call: Coroutine[Any, Any, Any], waits: Callable[[str], None]) -> Generator[Any, Any, Any]:
    """The call as it would go by itself; says where it is each time it has to wait."""
    trouble: BaseException | None = None
    while True:
        try:
            awaited = call.send(None) if trouble is None else call.throw(trouble)
        except StopIteration as ended:
            return ended.value
        waits(_place(call))
        try:
            yield awaited
            trouble = None
        except BaseException as error:
            trouble = error


def _place(call: Any) -> str:
    """The innermost line of ours that waits, and what it waits for."""
    ours = ""
    beyond: list[str] = []
    while call is not None:
        frame = getattr(call, "cr_frame", None)
        if frame is not None:
            path = Path(frame.f_code.co_filename)
            if any(path.is_relative_to(REPO / folder) for folder in OURS):
                ours, beyond = f"{path.relative_to(REPO)}:{frame.f_lineno}", []
            else:
                beyond.append(call.__qualname__)
        call = getattr(call, "cr_await", None)
    return " ".join([ours, *beyond[:1], *beyond[1:][-1:]])


def killing(function: Callable[..., Any], fate: Fate) -> Callable[..., Any]:
    """The same method, in which the process dies."""
    step = fate.step

    async def waiting(*args: Any) -> Any:
        if step.when == "before":
            fate.comes()
        if step.when == "halfway" and len(args[1]) > 1 and fate.is_now():
            await function(args[0], args[1][: len(args[1]) // 2])
            fate.strike()
        found = await (_watched(function(*args), fate.comes) if step.when == "inside" else function(*args))
        if step.when == "after" and (found or step.call not in BROUGHT):
            fate.comes()
        return found

    def at_once(*args: Any) -> Any:
        if step.when == "before":
            fate.comes()
        found = function(*args)
        if step.when == "after" and (found or step.call not in BROUGHT):
            fate.comes()
        return found

    return waiting if inspect.iscoroutinefunction(function) else at_once


def arm(service: str, step: Step, fate: Fate) -> None:
    door = doors(service)[step.door]
    module = import_module(door.module)
    class_ = getattr(module, door.name)
    method = killing(getattr(class_, step.method), fate)
    setattr(module, door.name, type(door.name, (class_,), {step.method: method}))
    if step.call == "store.check":  # asked only when a rule has raised
        vars(shard_loop)["handle"] = _raises


def _raises(*_: Any) -> NoReturn:
    raise ArithmeticError("a rule that is broken on purpose")


if __name__ == "__main__":
    module = sys.argv[1]
    at, _, nth = os.environ[DIE_AT].rpartition(":")
    step = Step(*at.split("."))
    arm(module.rpartition(".")[2], step, Fate(step, int(nth), json.loads(os.environ.get(KNOWN_PLACES, "[]"))))
    runpy.run_module(module, run_name="__main__")
