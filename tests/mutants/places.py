"""Where in the code a mutant is: from a name that Python knows to lines of a file."""

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.mutants.patterns import Site, parsed

ROOT = Path(__file__).parents[2]
CODE = ("schemas", "services", "shared", "deploy")
Reference = Callable[[], object]
"""`lambda: domain.decide`: never called, it is how a name of a module is said so that editors and mypy follow it."""


def path_of(at: Reference) -> str:
    """The module's file, or the package's folder."""
    module = at.__globals__[at.__code__.co_names[0]]
    assert isinstance(module, ModuleType), f"a place begins with its module: {at.__code__.co_names}"
    return module.__name__.replace(".", "/") + ("" if hasattr(module, "__path__") else ".py")


def names_of(at: Reference) -> tuple[str, ...]:
    """What leads from the module to the place."""
    return at.__code__.co_names[1:]


def find(tree: ast.Module, names: Sequence[str]) -> ast.AST | None:
    """The function, class or constant."""
    place: ast.AST | None = tree
    for name in names:
        place = next((one for one in reversed(getattr(place, "body", [])) if defines(one) == name), None)
    return place


def defines(statement: ast.AST) -> str | None:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return None


def definition(tree: ast.Module, site: Site) -> tuple[ast.Module | ast.ClassDef, int, int]:
    """The statements in which the site lies, of the module or of a class: whose, and from where to where."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    inner, owner = site.nodes[-1], parents[site.nodes[-1]]
    while not (isinstance(owner, ast.Module | ast.ClassDef) and inner in owner.body):
        inner, owner = owner, parents[owner]
    stop = [*owner.body].index(inner) + 1
    return owner, stop - len(site.nodes) if inner is site.nodes[-1] else stop - 1, stop


def lines(statements: Sequence[Any]) -> tuple[int, int]:
    """From the first decorator to the last line; counted as lists are."""
    first, last = statements[0], statements[-1]
    return min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", []))]) - 1, last.end_lineno


def name_of(tree: ast.Module, site: Site) -> str:
    """As people look for it."""
    owner, start, _ = definition(tree, site)
    names = [getattr(owner, "name", None), defines(owner.body[start])]
    return ".".join(filter(None, names)) or f"line {owner.body[start].lineno}"


def bound(tree: ast.AST) -> Iterator[str]:
    """The names that mean something in a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.MatchAs(name=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name


@cache
def trees(root: Path) -> dict[str, ast.Module]:
    """All of the code as it is, by file; to be looked at only."""
    paths = (path for folder in CODE for path in sorted((root / folder).rglob("*.py")))
    return {str(path.relative_to(root)): parsed(path.read_text()) for path in paths}


@cache
def words(root: Path) -> set[str]:
    """All names in the code, of whatever kind."""
    nodes = [node for tree in trees(root).values() for node in ast.walk(tree)]
    parts = {name for node in nodes for name in (getattr(node, "attr", None), getattr(node, "arg", None)) if name}
    return parts | {name for tree in trees(root).values() for name in bound(tree)}
