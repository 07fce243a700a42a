"""One word, one thing: a reader who knows a class knows it wherever he meets its name."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.house.reading import ROOT, Module, modules, relative

INSTANTS = "schemas/instants.py"


def ambiguous(found: Iterable[Module]) -> Iterator[str]:
    """Classes that share their name with another, a sentence for each name."""
    places = defaultdict(list)
    for module in found:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module.at(node))
    for name, where in sorted(places.items()):
        if len(where) > 1:
            yield f"{name} means {len(where)} things ({', '.join(where)}): say in each name what it is"


def test_a_class_name_means_one_thing() -> None:
    wrong = [*ambiguous(modules("schemas", "shared", "services", "deploy"))]
    assert not wrong, "\n".join(wrong)


def test_a_name_given_twice_is_told() -> None:
    twice = [Module(ROOT / f"{name}.py", name, ast.parse("class Held: ...")) for name in ("lines", "events")]
    (told,) = ambiguous(twice)
    assert told == "Held means 2 things (lines.py:1, events.py:1): say in each name what it is"


def test_instants_are_counted_in_one_place() -> None:
    counted = [
        module.at(node)
        for module in modules("schemas", "shared", "services", "deploy", "tests")
        if relative(module.path) != INSTANTS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node).startswith("datetime(1970, 1, 1")
    ]
    assert not counted, f"{counted}: {INSTANTS} has the epoch and both ways, to_ms and from_ms"
