"""How we touch the clients of Kafka: in few places, and by what they promise."""

import ast
from collections.abc import Iterator

from tests.house.reading import Module, called, modules, relative

CLIENTS = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient", "Producer", "Consumer"}
MADE_BY = {
    "shared/runtime/kafka/publisher.py": "the shard loop's",
    "shared/runtime/kafka/reading.py": "for whoever reads and belongs to no group",
    "shared/runtime/topic_check.py": "asks the broker how topics are",
    "services/casefile/front/sending.py": "hands over commands as any gateway does",
    "services/refund/gateway.py": "the sandbox's, which acknowledges",
    "deploy/payments/__main__.py": "says what the provider says",
    "deploy/stories/live.py": "says what people say",
    "tests/support/topics.py": "for all tests",
    "tests/bench/bare_hop.py": "the least that can be done with one is what is measured",
    "tests/bench/casefile.py": "librdkafka alone is fast enough",
    "tests/bench/ceiling.py": "the least that can be done with one is what is measured",
    "tests/contract/test_partitioners.py": "where each client puts a key is the question",
    "tests/e2e/test_access.py": "who is let in is the question",
    "tests/kit/test_setup_access.py": "who is let in is the question",
    "tests/overload/sampler.py": "how far each group is, of which only an administrator is told",
    "tests/overload/sender.py": "librdkafka alone is fast enough",
}
"""File -> why its client is made there."""
INTERNALS = "shared/runtime/kafka/internals.py"
NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make"}
PROMISED = NAMED_TUPLES | {"_exit", "_ALL_BROKERS_DOWN"}
"""Public, whatever they look like."""


def test_clients_are_made_in_few_places() -> None:
    made = [
        f"{module.at(node)} {called(node)}"
        for module in modules("schemas", "shared", "services", "deploy", "tests")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and called(node) in CLIENTS and relative(module.path) not in MADE_BY
    ]
    assert not made, "\n".join(
        ["read with LogReader of shared/runtime/kafka/reading.py; tests have tests/support/topics.py:", *made]
    )


def test_librdkafka_is_the_set_up_job_s_alone() -> None:
    wrong = [
        f"{module.at(node)} imports {name}"
        for module in modules("schemas", "shared", "services", "deploy")
        for node, name in module.imports()
        if name.startswith("confluent_kafka") and not module.name.startswith("deploy.setup")
    ]
    assert not wrong, f"{wrong}: a service runs without it; it is in a dependency group of its own"


def test_nothing_private_is_touched_but_in_one_place() -> None:
    touched = [
        place
        for module in modules("schemas", "shared", "services", "deploy")
        if relative(module.path) != INTERNALS
        for place in _private(module)
    ]
    assert not touched, "\n".join(
        [f"what a library does not promise is taken in {INTERNALS} alone, and pinned by a test:", *touched]
    )


def _private(module: Module) -> Iterator[str]:
    """Where it imports or touches what begins with an underscore and is not its own."""
    own = {node.name for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    own |= {ast.unparse(node.target) for node in ast.walk(module.tree) if isinstance(node, ast.AnnAssign)}
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(value=value, attr=name) if _is_private(name) and name not in own | PROMISED:
                if ast.unparse(value) not in ("self", "cls", "super()"):
                    yield f"{module.at(node)} {ast.unparse(node)}"
            case ast.ImportFrom(names=names) if any(_is_private(alias.name) for alias in names):
                yield f"{module.at(node)} {ast.unparse(node)}"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
