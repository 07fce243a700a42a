"""Who may know whom: each floor only what lies below it, a service no other service."""

import sys
from collections.abc import Collection, Iterator, Sequence

from tests.house.reading import OURS, Module, modules
from tests.house.test_purity import PURE

FLOORS: dict[str, frozenset[str]] = {
    "schemas": frozenset({"schemas", "pydantic"}),
    "shared.kernel": frozenset({"schemas", "shared.kernel", "pydantic", "pydantic_core"}),
    "shared.rules": frozenset({"schemas", "shared.kernel", "shared.rules", "pydantic", "yaml", "holidays"}),
}
"""All that each may import, besides the standard library; what stands higher may import what it needs."""
ADVICE = {
    "schemas": "the contract stands alone: what needs more than pydantic belongs in shared/",
    "shared.kernel": "the kernel is pure and knows no client: what acts belongs in shared/runtime, what rules need in "
    "shared/rules",
    "shared.rules": "rules are pure: what acts belongs in shared/runtime",
}
GROUND = "shared.kernel.ports"
COMPOSITION = "services.composition"
"""The one module that names all services; whoever wants them all reads its list."""

CASE_FILE = "services.casefile."
"""It decides nothing, and asks all of them what would be: what is pure of them."""
CASE_FILE_ROOMS = ("foresight", "shown", "tables", "front", "operating", "books", "laboratory", "pages")


def above(floor: str, found: Sequence[Module]) -> Iterator[str]:
    for module in found:
        if f"{module.name}.".startswith(f"{floor}."):
            for node, name in module.imports():
                if not _is_of(name, FLOORS[floor] | sys.stdlib_module_names):
                    yield f"{module.at(node)} imports {name}"


def test_each_floor_knows_only_what_lies_below_it() -> None:
    for floor, advice in ADVICE.items():
        wrong = [*above(floor, modules(floor.split(".")[0]))]
        assert not wrong, _message(wrong, advice)


def test_the_ground_floor_knows_nothing_of_ours() -> None:
    (ground,) = (module for module in modules("shared") if module.name == GROUND)
    wrong = [f"{ground.at(node)} imports {name}" for node, name in ground.imports() if name.split(".")[0] in OURS]
    assert not wrong, _message(wrong, "ports say what passes through them in words of their own")


def test_the_kit_knows_no_service() -> None:
    wrong = [
        f"{module.at(node)} imports {name}"
        for module in modules("shared")
        for node, name in module.imports()
        if name.split(".")[0] in OURS - {"schemas", "shared"}
    ]
    assert not wrong, _message(wrong, "hand it in from the service's app.py instead")


def test_a_service_knows_no_other_service() -> None:
    wrong = [
        f"{module.at(node)} imports {name}"
        for module in modules("services")
        for node, name in module.imports()
        if name.split(".")[0] in OURS - {"schemas", "shared"}
        and name.split(".")[:2] != module.name.split(".")[:2]
        and not (module.name == COMPOSITION and name.startswith("services."))
        and not (module.name.startswith(CASE_FILE) and _is_of(name, {COMPOSITION, *PURE}))
    ]
    assert not wrong, _message(wrong, "services talk by messages; a shape that two of them need belongs in schemas/")


def test_a_room_of_the_case_file_knows_those_above_it_alone() -> None:
    wrong = [
        f"{module.at(node)} imports {name}"
        for module in modules("services")
        if (room := _room(module.name)) is not None
        for node, name in module.imports()
        if (other := _room(name)) is not None and CASE_FILE_ROOMS.index(other) > CASE_FILE_ROOMS.index(room)
    ]
    assert not wrong, _message(wrong, f"its rooms stand in this order: {', '.join(CASE_FILE_ROOMS)}")


def _room(name: str) -> str | None:
    """None: it is no room of the case file."""
    parts = name.removeprefix(CASE_FILE).split(".")
    return parts[0] if name.startswith(CASE_FILE) and parts[0] in CASE_FILE_ROOMS else None


def test_all_services_are_named_by_the_composition_alone() -> None:
    wrong = [
        module.name
        for module in modules("deploy", "tests", "services")
        if module.name != COMPOSITION
        and len({name.split(".")[1] for _, name in module.imports() if name.endswith(".domain.DECIDER")}) > 3
    ]
    assert not wrong, f"{wrong}: read services.composition.DECIDERS instead of naming the services again"


def test_no_circle_is_hidden() -> None:
    """Modules that need each other at import fail by themselves."""
    hidden = [
        f"{module.at(node)}"
        for module in modules("schemas", "shared", "services", "deploy")
        for node, name in module.imports()
        if name == "typing.TYPE_CHECKING"
    ]
    assert not hidden, _message(hidden, "two modules that need each other's types are one, or three")


def _is_of(name: str, allowed: Collection[str]) -> bool:
    return any(f"{name}.".startswith(f"{one}.") for one in allowed)


def _message(wrong: list[str], advice: str) -> str:
    return "\n".join([advice, *wrong])
