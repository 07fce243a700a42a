"""What is stored and sent keeps its name for ever, and is written by those who may."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from deploy.publish import models
from schemas.topics import SERVICES, all_topics
from schemas.wire import Message, Service
from services.composition import DECIDERS
from shared.kernel.codec import Decoder
from shared.runtime.partitions import home_among
from tests.house.reading import Module, called, modules

WIRE_TYPE = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*\.v[1-9]")
ANY_INBOX = "*.commands"
WRITERS = {
    "order": {"order.events"},
    "dispute": {"dispute.events"},
    "mediation": {"mediation.events", "mediation.roster"},
    "refund": {"refund.events", "payments.commands", "payments.events"},  # the last by its sandbox alone
    "notification": {"notification.events"},
    "timer": {"timer.events", ANY_INBOX},  # its bells
    "shared": {"timer.commands"},  # the alarm of every service
}
"""By what a service makes or sends elsewhere. Dead letters and refusals the kit writes, for each service its own."""
OUTSIDERS_ALONE = {"people"}
"""What no service writes and no command is."""


def _declared() -> Iterator[tuple[Module, ast.Assign]]:
    """Every `type = ...` of a message."""
    for module in modules("schemas", "shared", "services"):
        for owner in ast.walk(module.tree):
            if isinstance(owner, ast.ClassDef):
                for statement in owner.body:
                    match statement:
                        case ast.Assign(targets=[ast.Name(id="type")]):
                            yield module, statement


def test_a_wire_type_is_written_out() -> None:
    wrong = [
        module.at(statement)
        for module, statement in _declared()
        if not (isinstance(statement.value, ast.Constant) and WIRE_TYPE.fullmatch(str(statement.value.value)))
    ]
    assert not wrong, f'{wrong}: a stored name is a literal such as "order.placed.v1", never put together'


def test_a_wire_type_is_never_reused() -> None:
    names = Counter(ast.literal_eval(statement.value) for _, statement in _declared())
    assert not [name for name, times in names.items() if times > 1], (
        f"{names.most_common(3)}: give it a name of its own"
    )
    assert set(names) == {model.type for model in models()}, "deploy/publish.py must know every message"


def test_a_message_is_sent_by_those_who_may() -> None:
    made = {part: set(_written(part)) for part in WRITERS}
    assert made == WRITERS, (
        "who writes which topic is what brokers are told to allow: change the contract first, then WRITERS here"
    )


def test_every_topic_has_a_writer() -> None:
    written = set().union(*WRITERS.values())
    inboxes = {f"{service}.commands" for service in SERVICES}
    topics = {topic.name for topic in all_topics() if not topic.name.endswith(".dead-letters")} - OUTSIDERS_ALONE
    differs = topics ^ ((written - {ANY_INBOX}) | (inboxes & topics))
    assert not differs, f"{differs}: a topic has a writer (WRITERS, here) and a place in schemas/topics.py"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_write_and_read_what_it_does_and_nothing_else(service: Service) -> None:
    """What brokers are told to allow (schemas/topics.py) is what the code does. A sandbox has no place among them."""
    waiting = {name for name, decider in DECIDERS.items() if decider.deadline_names}
    written = WRITERS[service] - {"payments.events"} | {f"{service}.dead-letters"}
    if service in waiting:
        written |= WRITERS["shared"]
    if ANY_INBOX in written:
        written = written - {ANY_INBOX} | {f"{name}.commands" for name in waiting}
    read = set(Decoder(DECIDERS[service], home_among(1)).topics)
    assert {topic.name for topic in all_topics() if service in topic.writers} == written
    assert {topic.name for topic in all_topics() if service in topic.readers} == read


def _written(part: str) -> Iterator[str]:
    for module in modules("services", "shared"):
        if part not in module.name.split(".")[:2] or module.room in {"app", "__main__"}:
            continue
        names = vars(import_module(module.name))
        sent = [node.args[0] for node in ast.walk(module.tree) if isinstance(node, ast.Call) and called(node) == "Send"]
        for node in ast.walk(module.tree):
            match node:
                case _ if node in sent:
                    continue  # not to its own topic
                case ast.Call(args=[_, topic]) if called(node) == "Send":
                    yield _topic(topic, names)
                case ast.Call():
                    made = _named(called(node), names)
                    if isinstance(made, type) and issubclass(made, Message) and made.topic:
                        yield made.topic


def _topic(expression: ast.expr, names: dict[str, Any]) -> str:
    match expression:
        case ast.Constant(value=str(topic)):
            return topic
        case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str(end))]):
            return f"*{end}"
        case ast.Attribute(value=ast.Name(id=name), attr="topic"):
            return str(names[name].topic)
    return ast.unparse(expression)


def _named(name: str, names: dict[str, Any]) -> Any:
    first, *rest = name.split(".")
    found = names.get(first)
    for part in rest:
        found = getattr(found, part, None)
    return found


def test_no_floats_in_the_contract() -> None:
    floats = [
        module.at(node)
        for module in modules("schemas")
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Name) and node.id in {"float", "Decimal"})
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]
    assert not floats, f"{floats}: money is integer minor units, durations are whole numbers of a unit"
