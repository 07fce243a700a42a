"""What /health says, as Prometheus reads it: plain text, a line a figure."""

from collections.abc import Iterator, Mapping
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FIGURES = {
    "healthy": ("gauge", "1 while there is no problem."),
    "problems": ("gauge", "Problems, by the recipe for them in docs/OPERATIONS.md."),
    "shards": ("gauge", "Shards that this process owns."),
    "handled": ("counter", "Records and inputs of its own that were handled."),
    "seconds_behind": ("gauge", "How long the next record has been waiting."),
    "seconds_since_step": ("gauge", "How long ago the shard loop took a step."),
    "unpublished": ("gauge", "Events that are committed and not yet on the bus."),
    "seconds_unpublished": ("gauge", "How long the first of them has been waiting."),
    "overdue": ("gauge", "Alarms that should have rung."),
    "clock_skew_seconds": ("gauge", "How far another clock is ahead of this machine's."),
}
"""Name -> of what kind it is, and what it says."""


def text(service: str, told: Mapping[str, Any]) -> str:
    """`told`: what /health says."""
    return "".join(f"{line}\n" for line in _lines(service, told))


def _lines(service: str, told: Mapping[str, Any]) -> Iterator[str]:
    for name, (kind, words) in FIGURES.items():
        metric = f"recourse_{name}" + "_total" * (kind == "counter")
        yield f"# HELP {metric} {words}"
        yield f"# TYPE {metric} {kind}"
        for labels, value in _samples(name, told[name]):
            yield f'{metric}{{service="{service}"{labels}}} {value}'


def _samples(name: str, said: Any) -> Iterator[tuple[str, float]]:
    """(further labels, value)"""
    match name:
        case "problems":
            recipes = [problem["recipe"].partition("#")[2] for problem in said]
            yield from ((f',recipe="{recipe}"', recipes.count(recipe)) for recipe in sorted(set(recipes)))
        case "clock_skew_seconds":
            yield from ((f',clock="{clock}"', seconds) for clock, seconds in sorted(said.items()))
        case "shards":
            yield "", len(said)
        case _:
            yield "", said + 0  # of a bool a number
