"""One bug: a place in the code, and what is changed there."""

import ast
import builtins
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from inspect import signature
from pathlib import Path

from pydantic import BaseModel

from tests.mutants import patterns, places
from tests.mutants.changes import Change, Unfit, Words
from tests.mutants.patterns import Site
from tests.mutants.writing import rewritten

LIBRARIES = {*dir(str), *dir(datetime), "match", *signature(BaseModel.model_dump_json).parameters}
"""What new code may say though ours nowhere does."""


class Rotten(Exception):
    """A mutant that does not fit the code any more: mend the catalogue."""


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    name: str
    """What is wrong then, as a sentence without its full stop."""
    at: places.Reference | str
    """Where the change is the only one of its kind: the wider the place, the more it outlives. `lambda: order` is a
    package, in which the code may move from file to file, `lambda: lines.split` a module, function, class or constant;
    a path is a file that is no Python."""
    change: Change | Words
    ask: tuple[str, ...] = ()
    """Tests to be asked before all others (folders, files, ids); those on the real servers only if they stand here."""

    @property
    def file(self) -> str:
        """Where it is in the code as it is; of one that does not fit, where it should be."""
        try:
            return self.at if isinstance(self.at, str) else _found(self, places.ROOT)
        except Rotten:
            return self._path

    @property
    def _path(self) -> str:
        return self.at if isinstance(self.at, str) else places.path_of(self.at)

    @property
    def _names(self) -> tuple[str, ...]:
        return () if isinstance(self.at, str) else places.names_of(self.at)

    def patched(self, root: Path) -> tuple[str, str]:
        """The file, and its text with the bug in it; raises Rotten."""
        if isinstance(self.at, str):
            return self.at, self._other_words(root / self.at)
        file = _found(self, root)
        text = (root / file).read_text()
        tree = patterns.parsed(text)
        try:
            return file, rewritten(text, tree, self._sites(tree)[0], self.change)
        except Unfit as error:
            raise self._rotten(f"{self.change.told}: {error}") from error

    def _other_words(self, file: Path) -> str:
        assert isinstance(self.change, Words), "what is no Python has words only"
        if not file.exists():
            raise self._rotten("there is no such file")
        broken, times = self.change.instead_in(file.read_text())
        if times != 1:
            raise self._rotten(f"{self.change.told} fits {times} times, not once")
        return broken

    def found(self, root: Path) -> str:
        """The file that has what is looked for, the only one in the place; raises Rotten."""
        trees = {file: tree for file, tree in places.trees(root).items() if f"{file}/".startswith(f"{self._path}/")}
        found = [(file, tree, site) for file, tree in trees.items() for site in self._sites(tree)]
        if not found:
            where = ".".join(self._names)
            gone = not any(places.find(tree, self._names) for tree in trees.values())
            why = f"there is no {where or 'such file'} any more" if gone else f"nothing like it is in {where or 'it'}"
            raise self._rotten(f"{why}; {self._elsewhere(root)}")
        if len(found) > 1:
            at = ", ".join(f"{file} ({places.name_of(tree, site)})" for file, tree, site in found)
            raise self._rotten(f"{self.change.told} fits {len(found)} times, {at}: say more of it")
        ((file, tree, _),) = found
        if unknown := self._unknown(tree, root):
            raise self._rotten(f"{self.change.told} brings what nobody knows any more: {unknown}")
        return file

    def _sites(self, tree: ast.Module) -> list[Site]:
        place = places.find(tree, self._names)
        within = set() if place is None else set(ast.walk(place))
        return [site for site in self.change.sites(tree) if within.issuperset(site.nodes)]

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
            for file, tree in sorted(places.trees(root).items(), key=lambda one: not one[0].startswith(self._path))
            for site in self.change.sites(tree)
        ]
        if fits:
            return f"{self.change.told} fits {', '.join(fits[:5])}{', …' * (len(fits) > 5)}"
        said = set() if isinstance(self.change, Words) else set().union(*patterns.names(self.change.wanted))
        gone = sorted(said - places.words(root) - set(dir(builtins)) - LIBRARIES)
        return f"{self.change.told} fits nowhere{', and nobody knows ' * bool(gone)}{', '.join(gone)}"

    def _rotten(self, why: str) -> Rotten:
        return Rotten(f"“{self.name}” does not fit {self._path} any more: {why}.")


@cache
def _found(mutant: Mutant, root: Path) -> str:
    return mutant.found(root)
