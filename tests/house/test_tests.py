"""A test says something, and one that is skipped says why."""

import ast
from collections.abc import Iterator

from tests.house.reading import Module, called, modules

CHECKS = {"pytest.raises", "pytest.warns", "pytest.fail"}


def _tests() -> Iterator[tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for module in modules("tests"):
        if module.room.startswith("test_"):
            for node in ast.walk(module.tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    yield module, node


def test_every_test_asserts_something() -> None:
    silent = [
        f"{module.at(test)} {test.name}"
        for module, test in _tests()
        if not any(_checks(node) for node in ast.walk(test))
    ]
    assert not silent, "\n".join(["assert, or call a helper whose name begins with assert_:", *silent])


def _checks(node: ast.AST) -> bool:
    match node:
        case ast.Assert():
            return True
        case ast.Call():
            name = called(node)
            return name in CHECKS or name.rpartition(".")[2].startswith("assert_")
    return False


def test_every_skip_has_a_reason() -> None:
    silent = [
        module.at(node)
        for module in modules("tests")
        for node in ast.walk(module.tree)
        if _skips(node) and not _has_reason(node)
    ]
    assert not silent, f"{silent}: say why it is skipped, in words that tell what to install or where it does run"


def _skips(node: ast.AST) -> bool:
    match node:
        case ast.Call():
            return called(node) in {"pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.importorskip"}
        case ast.FunctionDef(decorator_list=marks) | ast.AsyncFunctionDef(decorator_list=marks):
            return any(ast.unparse(mark) == "pytest.mark.skip" for mark in marks)
    return False


def _has_reason(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    given = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
    if called(node) == "pytest.skip":
        given += node.args[:1]
    return any(not (isinstance(reason, ast.Constant) and not reason.value) for reason in given)
