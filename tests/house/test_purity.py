"""A decision is a pure function: no clock, no chance, no I/O, nothing remembered between calls."""

import ast
from collections.abc import Iterator

import pytest

from tests.house.reading import Module, called, modules

ROOMS_THAT_ACT = {"app", "gateway", "store", "projection", "smtp", "webhooks", "network"}
STANDARD = {
    "base64", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools",
    "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "typing",
}  # fmt: skip
SHARED = ("shared.kernel", "shared.rules")
CLOCKS = {"now", "utcnow", "today"}
ACTS = {"open", "input", "print", "eval", "exec", "globals", "hash", "id", "policies.load", "load"}
"""`hash` and `id` differ from process to process."""
CHANGES = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft", "remove",
    "setdefault", "sort", "update",
}  # fmt: skip

BY_NAME = {module.name: module for module in modules("services", "shared")}


def reached(start: Module) -> Iterator[Module]:
    """The module and all of its own package that it imports, directly or not, but for the rooms that act."""
    package = start.name.rpartition(".")[0]
    seen, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        if module.name in seen or module.room in ROOMS_THAT_ACT:
            continue
        seen.add(module.name)
        yield module
        imported = {part for _, name in module.imports() for part in (name, name.rpartition(".")[0])}
        waiting += [BY_NAME[name] for name in imported & set(BY_NAME) if name.startswith(f"{package}.")]


PURE = sorted(
    {module.name for domain in modules("services") if domain.room == "domain" for module in reached(domain)}
    | {module.name for module in modules("shared") if module.name.startswith("shared.kernel.")}
    - {"shared.kernel.ports"}
    | {"shared.rules.refusals", "shared.rules.evidence", "services.refund.ledger"}
)


@pytest.mark.parametrize("name", PURE)
def test_decisions_are_pure(name: str) -> None:
    module = BY_NAME[name]
    wrong = [f"{module.at(node)} {what}" for node, what in _impurities(module)]
    assert not wrong, "\n".join(
        [
            "A decision gets its time as an argument and derives its ids from its input; whatever acts goes into "
            "a gateway, store.py, projection.py or app.py:",
            *wrong,
        ]
    )


def _impurities(module: Module) -> Iterator[tuple[ast.AST, str]]:
    for node, name in module.imports():
        if not _may_import(module, name):
            yield node, f"imports {name}"
    globals_ = _globals(module)
    for node in ast.walk(module.tree):
        match node:
            case ast.AsyncFunctionDef() | ast.Await():
                yield node, "waits for something"
            case ast.Global():
                yield node, "changes a global"
            case ast.Attribute(attr=attr) if attr in CLOCKS:
                yield node, f"reads a clock: {attr}"
            case ast.Call() if called(node) in ACTS:
                yield node, f"calls {called(node)}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=id_), attr=attr)) if id_ in globals_ and attr in CHANGES:
                yield node, f"changes {id_}, which all calls share"
            case ast.Subscript(value=ast.Name(id=id_), ctx=ast.Store() | ast.Del()) if id_ in globals_:
                yield node, f"changes {id_}, which all calls share"


def _may_import(module: Module, name: str) -> bool:
    top = name.split(".")[0]
    if top == "services":  # another service: see test_imports; a room that acts: not from a decision
        return not ROOMS_THAT_ACT & set(name.split(".")[2:3])
    if top == "shared":
        return any(f"{name}.".startswith(f"{one}.") for one in SHARED)
    return top in STANDARD | {"schemas", "pydantic", "pydantic_core"}


def _globals(module: Module) -> set[str]:
    names = set()
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=id_)):
                names.add(id_)
    return names
