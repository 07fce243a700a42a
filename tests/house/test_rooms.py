"""The same few rooms in every service, no room named after a layer, none too large."""

import ast
import re

from tests.house.reading import called, files, lines, modules, relative
from tests.house.test_purity import PURE

ROOMS = {"__init__", "__main__", "domain", "policy", "subscriptions", "app", "gateway", "store", "agenda", "projection"}
ROOMS_BESIDE = {
    "services.notification.letters",  # how a queued letter reads; written when it is sent
    "services.notification.network",  # to which addresses a webhook may go
    "services.notification.smtp",  # how a letter is handed over to a mail server
    "services.notification.webhooks",  # how a queued webhook is signed and handed over
    "services.refund.ledger",  # which postings an event is; booked in the commit that stores it
}
"""What is neither a room nor a part of the domain, and has something to say of its own."""
LAYERS = {"service", "utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base"}
LINES_MAX = 400
LONGER = {  # the heart, told in one piece
    "schemas/dispute.py": 500,  # a list of messages, nothing to follow
}
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|X{3})\b")


def test_a_service_has_the_usual_rooms() -> None:
    strange = [
        relative(module.path)
        for module in modules("services")
        if module.name.count(".") == 2 and module.room not in ROOMS and module.name not in ROOMS_BESIDE | set(PURE)
    ]
    assert not strange, (
        f"{strange}: neither one of the rooms {sorted(ROOMS)} nor a part of the domain, which domain.py would import"
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
        if (length := len(lines(module.path))) > LONGER.get(relative(module.path), LINES_MAX)
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
    left = [f"{relative(path)}:{number}" for path in files() for number, line in lines(path) if UNFINISHED.search(line)]
    assert not left, f"{left}: do it now or leave it out"
