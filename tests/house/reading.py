"""The repository as text and syntax trees, for the rules of the house."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = frozenset({"schemas", "shared", "services", "deploy", "tests"})


@dataclass(frozen=True, eq=False)
class Module:
    """One Python file; `name` as it is imported."""

    path: Path
    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.path.stem

    def at(self, node: ast.AST) -> str:
        """`services/order/domain.py:12`, as an editor opens it."""
        return f"{relative(self.path)}:{getattr(node, 'lineno', 1)}"

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """What is imported, in full: `from a import b` is `a.b`."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    yield from ((node, alias.name) for alias in names)
                case ast.ImportFrom(module=module, names=names, level=level):
                    package = [] if not level else self.name.split(".")[:-level]
                    yield from ((node, ".".join([*package, *filter(None, [module]), alias.name])) for alias in names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository; nothing that .gitignore keeps out."""
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()} | {".git"}
    return tuple(_files(ROOT, ignored))


def lines(path: Path) -> list[tuple[int, str]]:
    """Numbered from 1."""
    return list(enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1))


def _files(folder: Path, ignored: set[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in ignored:
            continue
        if path.is_dir():
            yield from _files(path, ignored)
        else:
            yield path


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    return tuple(
        Module(path, _name(path), ast.parse(path.read_text("utf-8"), str(path)))
        for path in files()
        if path.suffix == ".py" and relative(path).split("/")[0] in folders
    )


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def called(node: ast.Call) -> str:
    """`a.b.c` of the call `a.b.c(...)`; only its last name where the rest is not a name."""
    names: list[str] = []
    function: ast.expr = node.func
    while isinstance(function, ast.Attribute):
        names.append(function.attr)
        function = function.value
    if isinstance(function, ast.Name):
        names.append(function.id)
    return ".".join(reversed(names))
