"""Patterns of code: Python with holes, compared with the syntax tree: neither layout nor local names matter.

| in a pattern             | stands for                                                                              |
|--------------------------|-----------------------------------------------------------------------------------------|
| `__`                     | any expression, any pattern of a `case`; after a dot any attribute; in quotes any text  |
| `__a`, `__b`, …          | the same, to be said again: in the pattern, where it is equal then, and in the new code |
| `...`                    | any number of statements, elements, arguments (those with a name, too)                  |
| `case Held() if __: ...` | an arm of a `match`, with a guard only if it is written; `except Late as __: ...`       |
| `"refund": __`           | an entry of a dict                                                                      |
| lines of statements      | statements that follow one another                                                      |
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]
"""What the holes stood for; under REST what each `...` did, in order."""
REST = "..."
_HOLE = re.compile(r"__[a-z]*")
_ARMS = {"case ": "match _:\n {}", "except ": "try: ...\n{}"}
_INDIFFERENT = {"ctx", "kind", "type_comment"}


class Entry(ast.AST):
    """One entry of a dict, a node of its own while it is looked for: else keys and values lie in lists apart."""

    _fields = ("key", "value")

    def __init__(self, key: Any = None, value: Any = None) -> None:
        super().__init__()
        self.key, self.value = key, value


class _Apart(ast.NodeTransformer):
    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self.generic_visit(node)
        entries: list[Any] = [Entry(key, value) for key, value in zip(node.keys, node.values, strict=True)]
        return ast.copy_location(ast.Dict(keys=entries, values=[]), node)


class _Together(ast.NodeTransformer):
    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self.generic_visit(node)
        entries: list[Any] = node.keys
        return ast.Dict(keys=[one.key for one in entries], values=[one.value for one in entries])


def parsed(code: str) -> ast.Module:
    """A module with its dicts apart."""
    tree: ast.Module = _Apart().visit(ast.parse(code))
    return tree


def unparsed(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(_Together().visit(deepcopy(node))))


def pattern(text: str) -> list[ast.AST]:
    """Its nodes: several only if they are statements. Raises SyntaxError."""
    for begins, around in _ARMS.items():
        if text.startswith(begins):
            match parsed(around.format(text)).body:
                case [ast.Match(cases=arms) | ast.Try(handlers=arms)]:
                    return list(arms)
    try:
        body = parsed(text).body
    except SyntaxError:
        body = parsed(f"{{{text}}}").body
    match body:
        case [ast.AnnAssign(target=key, annotation=value, value=None)]:
            return [Entry(key, value)]
        case [ast.Expr(value=ast.Dict(keys=entries))] if not text.startswith("{"):
            return [one for one in entries if one is not None]
        case [ast.Expr(value=expression)] if not _is_rest(expression):
            return [expression]
    return list(body)


def statements(nodes: Sequence[ast.AST]) -> list[ast.AST]:
    return [ast.Expr(node) if isinstance(node, ast.expr) else node for node in nodes]


def names(nodes: Sequence[ast.AST]) -> tuple[set[str], set[str]]:
    """The variables and the attributes and arguments that it speaks of."""
    variables, parts = set(), set()
    all_ = [child for node in nodes for child in ast.walk(node)]
    own = {one.id for one in all_ if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    for one in all_:
        match one:
            case ast.Name(id=name) | ast.MatchAs(name=str(name)) if name not in own:
                variables.add(name)
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                parts.add(name)
            case ast.MatchClass(kwd_attrs=attributes):
                parts.update(attributes)
    holes = {name for name in variables | parts if _HOLE.fullmatch(name)}
    return variables - holes, parts - holes


@dataclass(frozen=True, slots=True)
class Site:
    """Where a pattern stands: in this field of a node, and if that is a list, from here to there."""

    parent: ast.AST
    field: str
    start: int | None
    stop: int
    found: Found

    @property
    def nodes(self) -> list[ast.AST]:
        value = getattr(self.parent, self.field)
        return [value] if self.start is None else value[self.start : self.stop]


def sites(wanted: Sequence[ast.AST], tree: ast.AST) -> Iterator[Site]:
    """Wherever it stands in a tree, below its root."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                if len(wanted) == 1 and (found := _same(wanted[0], value, {})) is not None:
                    yield Site(parent, field, None, 0, found)
            elif isinstance(value, list):
                for start in range(len(value)):
                    # A row of statements with `...` in it ends as early as it may.
                    for stop in range(start + 1, len(value) + 1 if len(wanted) > 1 else start + 2):
                        if (found := _all(wanted, value[start:stop], {})) is not None:
                            yield Site(parent, field, start, stop, found)
                            break


def filled(template: Sequence[ast.AST], found: Found) -> list[ast.AST]:
    """The template with what the holes stood for. Raises KeyError for a hole that stood for nothing."""
    rests = iter(found.get(REST, ()))

    def fill(node: Any) -> Any:
        if isinstance(node, list):
            return [one for part in node for one in (next(rests) if _is_rest(part) else [fill(part)])]
        if (hole := _hole(node)) is not None:
            return deepcopy(found[hole])
        if not isinstance(node, ast.AST):
            return node
        copy = type(node)(**{name: fill(value) for name, value in ast.iter_fields(node)})
        if isinstance(copy, ast.Call):  # `...` may have stood for arguments with a name
            named: list[Any] = [one for one in copy.args if isinstance(one, ast.keyword)]
            copy.args = [one for one in copy.args if not isinstance(one, ast.keyword)]
            copy.keywords = named + copy.keywords
        return copy

    nodes: list[ast.AST] = fill(list(template))
    return nodes


def _hole(node: Any) -> str | None:
    match node:
        case ast.Name(id=name) | ast.MatchAs(name=str(name), pattern=None) | str(name) if _HOLE.fullmatch(name):
            return name
    return None


def _is_rest(node: Any) -> bool:
    match node:
        case ast.Constant(value=value) | ast.Expr(value=ast.Constant(value=value)):
            return value is ...
    return False


def _same(wanted: Any, node: Any, found: Found) -> Found | None:
    """What the holes stand for if the two are the same but for them."""
    if isinstance(wanted, list):
        return _all(wanted, node, found) if isinstance(node, list) else None
    if (hole := _hole(wanted)) is not None:
        return _stands_for(hole, node, found) if isinstance(node, str) is isinstance(wanted, str) else None
    if type(wanted) is not type(node):
        return None
    if not isinstance(wanted, ast.AST):
        return found if wanted == node else None
    if isinstance(wanted, ast.Call):
        return _same_call(wanted, node, found)
    for field in wanted._fields:
        if field not in _INDIFFERENT:
            further = _same(getattr(wanted, field, None), getattr(node, field, None), found)
            if further is None:
                return None
            found = further
    return found


def _stands_for(hole: str, node: Any, found: Found) -> Found | None:
    if node is None:
        return None
    if hole == "__":
        return found
    return _same(found[hole], node, found) if hole in found else {**found, hole: node}


def _all(wanted: Sequence[Any], nodes: Sequence[Any], found: Found) -> Found | None:
    if not wanted:
        return found if not nodes else None
    first, *others = wanted
    if not _is_rest(first):
        further = _same(first, nodes[0], found) if nodes else None
        return None if further is None else _all(others, nodes[1:], further)
    for taken in range(len(nodes) + 1):
        rests = (*found.get(REST, ()), list(nodes[:taken]))
        if (further := _all(others, nodes[taken:], {**found, REST: rests})) is not None:
            return further
    return None


def _same_call(wanted: ast.Call, node: ast.Call, found: Found | None) -> Found | None:
    """Arguments with a name stand in any order; `...` takes those that are not spoken of."""
    found = _same(wanted.func, node.func, found or {})
    found = None if found is None else _all(wanted.args, node.args, found)
    others = list(node.keywords)
    for keyword in wanted.keywords:
        same = next((one for one in others if one.arg == keyword.arg), None)
        if found is None or same is None:
            return None
        others.remove(same)
        found = _same(keyword.value, same.value, found)
    if found is None or not others:
        return found
    if not any(map(_is_rest, wanted.args)):
        return None
    *rests, last = found[REST]
    return {**found, REST: (*rests, last + others)}
