"""What we take of aiokafka that it does not promise is still there, as shared/runtime/kafka/internals.py needs it."""

import ast
import inspect
from collections.abc import Callable
from importlib.metadata import version

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

from shared.runtime.kafka import internals

GONE = (
    "aiokafka {version} has no {name} as we know it: see in shared/runtime/kafka/internals.py what it is needed for,"
    " and find what took its place before pyproject.toml pins that version"
)


def batch() -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=1_000,
    )
    builder.append(0, timestamp=1, key=b"o1", value=b"{}", headers=[("x", b"1")])
    return bytes(builder.build())


def fetcher_reads_by(name: str) -> bool:
    """Whether it looks this up among the names of its module, where `install` puts ours."""
    functions = [function for _, function in inspect.getmembers(Fetcher, inspect.isfunction)]
    return any(name in function.__code__.co_names for function in functions)


def fails_what_is_held() -> bool:
    holds = "_message_accumulator" in AIOKafkaProducer.__init__.__code__.co_names
    return holds and list(inspect.signature(MessageAccumulator.fail_all).parameters) == ["self", "exception"]


NAMES: dict[str, Callable[[], bool]] = {
    "MemoryRecords in aiokafka.consumer.fetcher": lambda: fetcher_reads_by("MemoryRecords"),
    "MemoryRecords.has_next": lambda: MemoryRecords(batch()).has_next() is True,
    "MemoryRecords.next_batch": lambda: [record.key for record in MemoryRecords(batch()).next_batch()] == [b"o1"],
    "AIOKafkaProducer._message_accumulator.fail_all": fails_what_is_held,
    "_DefaultRecordBatchPy": lambda: [record.headers for record in _DefaultRecordBatchPy(batch())] == [[("x", b"1")]],
    "_DefaultRecordBatchPy._maybe_uncompress": lambda: _DefaultRecordBatchPy(batch())._maybe_uncompress() is None,
    "_DefaultRecordBatchPy._buffer": lambda: _DefaultRecordBatchPy(batch())._buffer == batch(),
}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_there_as_we_know_it(name: str) -> None:
    try:
        found = NAMES[name]()
    except (AttributeError, TypeError):
        found = False
    assert found, GONE.format(version=version("aiokafka"), name=name)


def test_whatever_is_private_is_pinned_here() -> None:
    tree = list(ast.walk(ast.parse(inspect.getsource(internals))))
    taken = {alias.name for node in tree if isinstance(node, ast.ImportFrom) for alias in node.names}
    taken |= {node.attr for node in tree if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "self"}
    unpinned = {
        name
        for name in taken
        if name.startswith("_") and not name.startswith("__") and not any(name in pinned for pinned in NAMES)
    }
    assert not unpinned, f"{unpinned}: add what is needed of it to NAMES, so that no upgrade takes it away unseen"
