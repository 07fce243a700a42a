"""Who may know whom: `schemas` nobody of ours, `shared` the schemas, a service both and no other service."""

import sys

from tests.house.reading import OURS, modules


def test_schemas_import_nothing_but_pydantic() -> None:
    allowed = {"schemas", "pydantic"} | sys.stdlib_module_names
    wrong = [
        f"{module.at(node)} imports {name}"
        for module in modules("schemas")
        for node, name in module.imports()
        if name.split(".")[0] not in allowed
    ]
    assert not wrong, _message(wrong, "the contract stands alone; what needs more than pydantic belongs in shared/")


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
        if name.split(".")[0] in OURS - {"schemas", "shared"} and name.split(".")[:2] != module.name.split(".")[:2]
    ]
    assert not wrong, _message(wrong, "services talk by messages; a shape that two of them need belongs in schemas/")


def _message(wrong: list[str], advice: str) -> str:
    return "\n".join([advice, *wrong])
