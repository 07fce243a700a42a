"""A bug put into the text of a file: only its function or constant is written anew, all around it stays as it is."""

import ast
from typing import Any

from tests.mutants import places
from tests.mutants.changes import Change, Unfit, Words
from tests.mutants.patterns import Site, unparsed

_INDENT = 4


def rewritten(text: str, tree: ast.Module, site: Site, change: Change | Words) -> str:
    """The text with the change made at the site of its tree, which is changed, too. Raises Unfit."""
    owner, start, stop = places.definition(tree, site)
    before, size = [unparsed(one) for one in owner.body[start:stop]], len(owner.body)
    first, last = places.lines(owner.body[start:stop])
    try:
        _put(site, change.instead(site))
    except (KeyError, StopIteration) as error:
        raise Unfit("the new code has more holes than the pattern") from error
    after: list[Any] = [_tidy(one) for one in owner.body[start : stop + len(owner.body) - size]]
    if [unparsed(one) for one in after] == before:
        raise Unfit("it changes nothing")
    lines = text.split("\n")
    depth = (len(lines[first]) - len(lines[first].lstrip())) // _INDENT
    for _ in range(depth):  # Python knows what of a text may be indented
        after = [ast.If(ast.Constant(True), after or [ast.Pass()], [])]
    written = "\n".join("\n".join(unparsed(one) for one in after).split("\n")[depth:]).lstrip("\n")
    broken = "\n".join([*lines[:first], *([written] if written else []), *lines[last:]])
    try:
        compile(broken, "the code", "exec")
    except SyntaxError as error:
        raise Unfit(f"it is no Python then: {error}") from error
    return broken


def _put(site: Site, instead: list[Any]) -> None:
    """Into the tree, in the place of what was found."""
    parent = site.parent
    if site.start is not None:
        getattr(parent, site.field)[site.start : site.stop] = instead
    else:
        setattr(parent, site.field, instead[0] if instead else None)


def _tidy(tree: ast.AST) -> ast.AST:
    """Python again after something was dropped: no empty suite, no statement of nothing, no `and` of one."""

    class Tidy(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
            return self.generic_visit(node) if getattr(node, "value", None) else None

        def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
            self.generic_visit(node)
            return node.values[0] if len(node.values) == 1 else node

        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            if getattr(node, "body", None) == []:
                node.body = [ast.Pass()]  # type: ignore[attr-defined]
            return node

    tidied: ast.AST = Tidy().visit(tree)
    return tidied
