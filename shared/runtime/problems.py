"""What is wrong with the world a process lives in, in sentences for whoever is called at night.

Each is logged once when it begins and once when it has ended, however often it is looked at; /health answers 503 while
there is any.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    sentence: str
    recipe: str
    """Where in docs/OPERATIONS.md it says what to do: the anchor of a heading."""

    @property
    def page(self) -> str:
        return f"docs/OPERATIONS.md#{self.recipe}"

    def told(self, place: str) -> dict[str, str]:
        """As /health tells it."""
        return {"place": place, "problem": self.sentence, "recipe": self.page}


class Problems:
    def __init__(self) -> None:
        self._known: dict[str, Problem] = {}

    def begin(self, place: str, sentence: str, recipe: str) -> None:
        """`place` is what it is about, such as `order.events/4`: one place has one problem at a time, and the sentence
        may be told anew."""
        problem = Problem(sentence, recipe)
        before, self._known[place] = self._known.get(place), problem
        if before is None or before.recipe != recipe:
            log.critical(sentence, extra={"place": place, "recipe": problem.page})

    def end(self, place: str) -> None:
        if self._known.pop(place, None) is not None:
            log.warning("no problem any more", extra={"place": place})

    def keep(self, kind: str, places: Collection[str]) -> None:
        """Of the places that begin with `kind`, the others have no problem any more."""
        for place in [known for known in self._known if known.startswith(kind) and known not in places]:
            self.end(place)

    def told(self) -> list[dict[str, str]]:
        """As /health tells them."""
        return [one.told(place) for place, one in sorted(self._known.items())]
