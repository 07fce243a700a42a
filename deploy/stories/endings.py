"""Who got what in the end, and the same stories under two policies side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.table import Table

from deploy.stories.dialogue import DoesNotApply, Scene, Story
from deploy.stories.telling import money

WAYS = {"dispute.closed": "outcome", "order.cancelled": "cause"}
"""Event that says how it came to the end -> in which field."""


@dataclass(frozen=True)
class Ending:
    """Of all orders of a story; or why there is no such story."""

    splits: tuple[tuple[int, int], ...] = ()
    """(to the buyer, to the seller) of each order."""
    captured_minor: int = 0
    ways: tuple[str, ...] = ()
    why_not: str = ""

    @staticmethod
    def of(scene: Scene) -> "Ending":
        ways = [str(event.data[WAYS[event.type]]) for case in scene.cases for event in case.seen if event.type in WAYS]
        return Ending(
            tuple(case.split() for case in scene.cases),
            sum(case.captured_minor for case in scene.cases),
            tuple(dict.fromkeys(way.replace("_", " ") for way in ways)),
        )

    def __str__(self) -> str:
        if self.why_not:
            return f"does not apply: {self.why_not}"
        buyer, seller = (sum(amounts) for amounts in zip(*self.splits, strict=True))
        ways = f" ({', '.join(self.ways)})" if self.ways else ""
        return f"{money(buyer)} / {money(seller)} of {money(self.captured_minor)}{ways}"


async def ending(story: Story, scene: Scene) -> Ending:
    """Raises StoryFailed."""
    try:
        await story.play(scene)
    except DoesNotApply as reason:
        return Ending(why_not=str(reason))
    return Ending.of(scene)


def compared(name: str, ours: Mapping[Story, Ending], other_name: str, other: Mapping[Story, Ending]) -> Table:
    """What is otherwise under the other policy is marked."""
    table = Table(title=f"Who gets what: buyer / seller of captured, under {name} and under {other_name}")
    for head in ("", "story", name, other_name, "differs in"):
        table.add_column(head)
    for story, ending in ours.items():
        otherwise = " and ".join(_differences(ending, other[story]))
        style = "bold yellow" if otherwise else None
        table.add_row(str(story.number), story.title, str(ending), str(other[story]), otherwise, style=style)
    return table


def _differences(one: Ending, other: Ending) -> Iterator[str]:
    if bool(one.why_not) != bool(other.why_not):
        yield "whether it applies"
    elif one.splits != other.splits:
        yield "money"
    if not (one.why_not or other.why_not) and one.ways != other.ways:
        yield "the way"
