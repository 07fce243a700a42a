"""One bug: a place in the code, and what is changed there."""

import ast
import builtins
from dataclasses import dataclass
from datetime import datetime
from inspect import signature
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tests.mutants import patterns, places
from tests.mutants.changes import Change, Unfit, Words, put, tidy
from tests.mutants.patterns import Site

LIBRARIES = {*dir(str), *dir(datetime), "match", *signature(BaseModel.model_dump_json).parameters}
"""What new code may say though ours nowhere does."""
_INDENT = 4


class Rotten(Exception):
    """A mutant that does not fit the code any more: mend the catalogue."""


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    """What is wrong then, as a sentence without its full stop."""
    at: places.Reference | str
    """`lambda: domain.decide`: a function, class or constant, or the module where the pattern is the only one of its
    kind in it, which outlives most. A path if it is no Python."""
    change: Change | Words
    ask: tuple[str, ...] = ()
    """Tests to be asked before all others (folders, files, ids); those on the real servers only if they stand here."""

    @property
    def file(self) -> str:
        return self.at if isinstance(self.at, str) else places.file_of(self.at)

    def patched(self, root: Path) -> str:
        """The file's text with the bug in it; raises Rotten."""
        text = (root / self.file).read_text()
        if not isinstance(self.at, str):
            tree = patterns.parsed(text)
            return self._written(text, tree, self._site(tree, places.names_of(self.at), root))
        assert isinstance(self.change, Words), "what is no Python has words only"
        broken, times = self.change.instead_in(text)
        if times != 1:
            raise self._rotten(f"{self.change.told} fits {times} times, not once")
        return broken

    def _site(self, tree: ast.Module, names: tuple[str, ...], root: Path) -> Site:
        """The only one in the place."""
        where = ".".join(names)
        if (place := places.find(tree, names)) is None:
            raise self._rotten(f"there is no {where} any more; {self._elsewhere(root)}")
        within = set(ast.walk(place))
        found = [site for site in self.change.sites(tree) if within.issuperset(site.nodes)]
        if not found:
            raise self._rotten(f"nothing like it is in {where or 'it'}; {self._elsewhere(root)}")
        if len(found) > 1:
            at = ", ".join(places.name_of(tree, site) for site in found)
            raise self._rotten(f"{self.change.told} fits {len(found)} times ({at}): say more of it")
        if unknown := self._unknown(tree, root):
            raise self._rotten(f"{self.change.told} brings what nobody knows any more: {unknown}")
        return found[0]

    def _written(self, text: str, tree: ast.Module, site: Site) -> str:
        """Only the function or constant is written anew; what is around it stays as it is."""
        owner, start, stop = places.definition(tree, site)
        before, size = [patterns.unparsed(one) for one in owner.body[start:stop]], len(owner.body)
        first, last = places.lines(owner.body[start:stop])
        try:
            put(site, self.change.instead(site))
        except (Unfit, KeyError, StopIteration) as error:
            raise self._rotten(f"{self.change.told}: {error}") from error
        after: list[Any] = [tidy(one) for one in owner.body[start : stop + len(owner.body) - size]]
        if [patterns.unparsed(one) for one in after] == before:
            raise self._rotten(f"{self.change.told} changes nothing")
        lines = text.split("\n")
        depth = (len(lines[first]) - len(lines[first].lstrip())) // _INDENT
        for _ in range(depth):  # Python knows what of a text may be indented
            after = [ast.If(ast.Constant(True), after or [ast.Pass()], [])]
        written = "\n".join("\n".join(patterns.unparsed(one) for one in after).split("\n")[depth:])
        broken = "\n".join([*lines[:first], *filter(None, [written.lstrip("\n")]), *lines[last:]])
        try:
            compile(broken, self.file, "exec")
        except SyntaxError as error:
            raise self._rotten(f"it is no Python any more: {error}") from error
        return broken

    def _unknown(self, tree: ast.Module, root: Path) -> str:
        """Names in the new code that nobody knows: a mutant that is caught by a NameError shows nothing."""
        if isinstance(self.change, Words):
            return ""
        variables, parts = patterns.names(self.change.brings)
        new = parts - patterns.names(self.change.wanted)[1] - LIBRARIES
        unknown = variables - set(places.bound(tree)) - set(dir(builtins)) | (new and new - places.words(root))
        return ", ".join(sorted(unknown))

    def _elsewhere(self, root: Path) -> str:
        fits = [
            f"{file} ({places.name_of(tree, site)})"
            for file, tree in sorted(places.trees(root), key=lambda one: one[0] != self.file)
            for site in self.change.sites(tree)
        ]
        if fits:
            return f"{self.change.told} fits {', '.join(fits[:5])}{', …' * (len(fits) > 5)}"
        said = set() if isinstance(self.change, Words) else set().union(*patterns.names(self.change.wanted))
        gone = sorted(said - places.words(root) - set(dir(builtins)) - LIBRARIES)
        return f"{self.change.told} fits nowhere{', and nobody knows ' * bool(gone)}{', '.join(gone)}"

    def _rotten(self, why: str) -> Rotten:
        return Rotten(f"“{self.name}” does not fit {self.file} any more: {why}.")
