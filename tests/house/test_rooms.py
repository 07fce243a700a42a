"""The same few rooms in every service, no room named after a layer, none too large."""

import ast
import re
from importlib import import_module

import pytest

from schemas.topics import SERVICES
from shared.runtime.application import Application
from tests.house.reading import ROOT, called, files, lines, modules, relative
from tests.house.test_purity import PURE

ROOMS = {
    *("__init__", "__main__", "app"),
    *("states", "domain", "policy", "subscriptions"),  # what it is, what can happen, by which numbers, what it hears
    *("projection", "store", "gateway"),  # what it keeps and does by itself, its SQL, whom it calls outside
}
ROOMS_BESIDE = {
    "services.casefile.routes",  # what is asked of it besides orders and cases
    "services.notification.letters",  # how a queued letter reads; written when it is sent
    "services.notification.people",  # where a letter goes, and by what table that is known
    "services.notification.network",  # which addresses may be spoken to
    "services.notification.smtp",  # its two gateways
    "services.notification.webhooks",
    "services.refund.ledger",  # which postings an event is; booked in the commit that stores it
}
"""What is neither a room nor a conversation, and has something to say of its own. The case file, which decides nothing,
has rooms of its own, a folder each (ARCHITECTURE.md)."""
LAYERS = {"service", "utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base"}
LINES_MAX = 400
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|X{3})\b")


def test_a_service_has_the_usual_rooms() -> None:
    strange = [
        relative(module.path)
        for module in modules("services")
        if module.name.count(".") == 2 and module.room not in ROOMS and module.name not in ROOMS_BESIDE | set(PURE)
    ]
    assert not strange, (
        f"{strange}: neither one of the rooms {sorted(ROOMS)} nor a conversation, which domain.py would import"
    )


def test_no_file_is_named_after_a_layer() -> None:
    named = [
        relative(path)
        for path in files()
        if path.suffix == ".py" and path.stem in LAYERS and relative(path) != "schemas/common.py"
    ]
    assert not named, f"{named}: a file is named after what it is about; a layer collects whatever comes along"


def test_a_file_can_be_read_in_one_go() -> None:
    long = {
        relative(module.path): length
        for module in modules("schemas", "shared", "services")
        if (length := len(lines(module.path))) > LINES_MAX
    }
    assert not long, f"{long}: more than {LINES_MAX} lines; split it by what it is about"


def test_nothing_is_printed() -> None:
    printed = [
        module.at(node)
        for module in modules("schemas", "shared", "services")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and called(node) == "print"
    ]
    assert not printed, f"{printed}: a service says what it has to say in its log"


def test_nothing_is_left_for_later() -> None:
    texts = [path for path in files() if path.suffix != ".png"]
    left = [f"{relative(path)}:{number}" for path in texts for number, line in lines(path) if UNFINISHED.search(line)]
    assert not left, f"{left}: do it now or leave it out"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_one_name(service: str) -> None:
    """By it its settings are read, before there is a decider."""
    app = import_module(f"services.{service}.app").APP
    assert (app.service, app.decider(app.settings()).service) == (service, service)


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_keeps_besides_is_wired(service: str) -> None:
    """A migration that is not named never runs, and a projection that is not is told of nothing."""
    app = import_module(f"services.{service}.app").APP
    folder = ROOT / "services" / service
    migrations = folder / "migrations"
    assert app.migrations == ((migrations,) if migrations.exists() else ()), f"{service}/app.py: name {migrations}"
    wired = app.parts is not Application(app.service, app.decider, app.settings).parts
    assert wired == (folder / "projection.py").exists(), f"{service}/app.py: make its projection one of its `parts`"


def test_a_table_is_tried_in_memory_and_in_the_database() -> None:
    """One logic with two tables is right if both tables are."""
    tables = {
        node.name
        for module in modules("services")
        if module.room == "store"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    assert tables
    tried = [{name.rpartition(".")[2] for _, name in module.imports()} for module in modules("tests")]
    untried = [name for name in tables if not any({name, name.replace("Postgres", "Memory")} <= one for one in tried)]
    assert not untried, f"{untried}: a module of tests/contract plays the same scenarios on it and its Memory… table"
