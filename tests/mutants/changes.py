"""What a bug does to the code, in five verbs. Each wants its pattern (patterns.py) exactly once."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.mutants import patterns
from tests.mutants.patterns import Entry, Site

_BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


class Unfit(Exception):
    """What was found cannot be changed so."""


@dataclass(frozen=True, slots=True)
class Change:
    told: str
    """As it stands in the catalogue."""
    wanted: Sequence[ast.AST]
    brings: Sequence[ast.AST]
    """The new code, as far as it is written down."""
    instead: Callable[[Site], list[ast.AST]]
    """What stands there then. Raises Unfit."""

    def sites(self, tree: ast.AST) -> Iterator[Site]:
        return patterns.sites(self.wanted, tree)


@dataclass(frozen=True, slots=True)
class Words:
    """Other words in a text: in a string of the code, or in a file that is none. Spaces and line ends are all one."""

    old: str
    new: str

    @property
    def told(self) -> str:
        return f"words({self.old!r}, {self.new!r})"

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(r"\s+".join(map(re.escape, self.old.split())))

    def instead_in(self, text: str) -> tuple[str, int]:
        """The other text, and how often it had the words."""
        return self.pattern.subn(lambda _: self.new, text)

    def sites(self, tree: ast.AST) -> Iterator[Site]:
        for site in patterns.sites(patterns.pattern("__a"), tree):
            match site.nodes:
                case [ast.Constant(value=str(text))]:
                    for _ in self.pattern.finditer(text):
                        yield site

    def instead(self, site: Site) -> list[ast.AST]:
        match site.nodes:
            case [ast.Constant(value=str(text))]:
                return [ast.Constant(self.instead_in(text)[0])]
        raise Unfit("these are no words")


words = Words


def change(old: str, new: str) -> Change:
    """Other code: `change("max(__a, __)", "__a")`. No code at all is `drop`."""
    wanted, template = patterns.pattern(old), patterns.pattern(new)
    if any(isinstance(node, ast.stmt) for node in [*wanted, *template]):
        wanted, template = patterns.statements(wanted), patterns.statements(template)
    return Change(
        f"change({old!r}, {new!r})",
        wanted,
        template,
        lambda site: patterns.filled(template, site.found),
    )


def drop(old: str) -> Change:
    """Gone: a statement, an arm, an element, an entry, a guard, an operand of `and` and `or`; of an `if` with an `else`
    only its own branch: `drop("not __.decided")`, `drop("if __: __.park(...)")`."""
    wanted = patterns.pattern(old)
    match wanted:
        case [ast.If(orelse=[]) as branch]:
            branch.orelse = [ast.Expr(ast.Constant(...))]
    return Change(f"drop({old!r})", wanted, (), _without)


def flip(old: str) -> Change:
    """The boundary falls on the other side: `flip("__ <= __.due_at")` is `<` then."""
    return Change(f"flip({old!r})", patterns.pattern(old), (), lambda site: [_compared(site, _BOUNDARY)])


def negate(old: str) -> Change:
    """The opposite: `negate("'buyer' in __")`."""
    return Change(f"negate({old!r})", patterns.pattern(old), (), _negated)


def _without(site: Site) -> list[ast.AST]:
    match site.nodes:
        case [ast.If(orelse=others)]:
            return list(others)
        case [ast.stmt(), *_] | [ast.match_case() | ast.ExceptHandler() | Entry()]:
            return []
    match site.parent, site.field:
        case ast.Expr(), _:
            return []
        case ast.BoolOp() | ast.List() | ast.Tuple() | ast.Set() | ast.Call() | ast.comprehension(), _ if (
            site.start is not None
        ):
            return []
        case ast.match_case(), "guard":
            return []
    raise Unfit(
        "only a statement, an arm, an element, an entry, an operand of `and` and `or` or a guard can be dropped"
    )


def _compared(site: Site, operators: dict[type[ast.cmpop], type[ast.cmpop]]) -> ast.AST:
    match site.nodes:
        case [ast.Compare(left=left, ops=[operator], comparators=right)] if type(operator) in operators:
            return ast.Compare(left, [operators[type(operator)]()], right)
    raise Unfit("this is no comparison of that kind")


def _negated(site: Site) -> list[ast.AST]:
    match site.nodes:
        case [ast.UnaryOp(op=ast.Not(), operand=positive)]:
            return [positive]
        case [ast.expr() as condition]:
            try:
                return [_compared(site, _OPPOSITE)]
            except Unfit:
                return [ast.UnaryOp(ast.Not(), condition)]
    raise Unfit("this is no condition")
