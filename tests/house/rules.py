"""Which tests prove which rule of docs/RULES.md: `make rules` prints it, `test_rules.py` holds it to be complete."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tests.house.reading import ROOT, called, modules, relative

BOOK = ROOT / "docs" / "RULES.md"
RULE = re.compile(r"^\*\*((?:R|C|N)\d+b?)\*\* \*([^*]+)\*", re.MULTILINE)
"""`**R29** *What it says.*` at the start of a line."""


def rules() -> list[tuple[str, str]]:
    """(number, what it says in a sentence) of every rule, as the book has them."""
    return [(number, " ".join(title.split())) for number, title in RULE.findall(BOOK.read_text())]


def proofs() -> Mapping[str, list[str]]:
    """Rule -> the tests marked with it, as pytest names them."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in modules("tests"):
        if module.room.startswith("test_"):
            for test, marked in _tests(module.tree.body, _of_module(module.tree)):
                for rule in dict.fromkeys(marked):
                    found[rule].append(f"{relative(module.path)}::{test}")
    return found


def _of_module(tree: ast.Module) -> list[str]:
    """What `pytestmark = …` says of all tests of the module."""
    return [
        rule
        for node in tree.body
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "pytestmark" for target in node.targets)
        for rule in _marked([node.value])
    ]


def _tests(body: Iterable[ast.stmt], above: list[str]) -> Iterator[tuple[str, list[str]]]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test_"):
                yield name, above + _marked(node.decorator_list)
            case ast.ClassDef(name=name) if name.startswith("Test"):
                for test, marked in _tests(node.body, above + _marked(node.decorator_list)):
                    yield f"{name}::{test}", marked


def _marked(marks: Iterable[ast.expr]) -> list[str]:
    """`pytest.mark.rule("R29")`, also within `pytest.param(…, marks=…)` and lists."""
    return [
        ast.literal_eval(argument)
        for mark in marks
        for node in ast.walk(mark)
        if isinstance(node, ast.Call) and called(node) == "pytest.mark.rule"
        for argument in node.args
    ]


if __name__ == "__main__":
    proved = proofs()
    for number, title in rules():
        print(f"{number:4} {title}", *(f"       {test}" for test in proved.get(number, ["no test"])), sep="\n")
