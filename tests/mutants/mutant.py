"""One bug, as a patch of one file."""

from dataclasses import dataclass
from pathlib import Path


class Rotten(Exception):
    """A mutant that does not fit the code any more: mend the catalogue."""


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    """What is wrong then, as a sentence without its full stop."""
    file: str
    old: str
    """Stands exactly once in the file."""
    new: str
    ask: tuple[str, ...] = ()
    """Tests to be asked before all others (folders, files, ids); those on the real servers only if they stand here."""

    def patched(self, root: Path) -> str:
        """The file's text with the bug in it; raises Rotten."""
        text = (root / self.file).read_text()
        if (times := text.count(self.old)) != 1:
            raise Rotten(f"{self.name}: {times} times in {self.file}, not once: {self.old!r}")
        broken = text.replace(self.old, self.new)
        if self.file.endswith(".py"):
            try:
                compile(broken, self.file, "exec")
            except SyntaxError as error:
                raise Rotten(f"{self.name}: {self.file} is no Python any more: {error}") from error
        return broken
