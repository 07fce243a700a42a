"""What we take of aiokafka that it does not promise is still there, as shared/runtime/kafka/internals.py needs it."""

import ast
import inspect
from collections.abc import Callable
from importlib.metadata import version

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
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


def asks_for_topics() -> bool:
    """As aiokafka's client sends what asks of it, in the highest version that both sides know."""
    request = internals._TopicsRequest(["t"]).prepare({3: (0, 13)})
    asked = b"\x02" + bytes(16) + b"\x02t\x00" + b"\x00\x00" + b"\x00"
    header = request.build_request_header(correlation_id=7, client_id="c").encode()
    return bool(request.encode() == asked) and header == b"\x00\x03\x00\x0c\x00\x00\x00\x07\x00\x01c\x00"


def hears_of_topics() -> bool:
    broker = b"\x00\x00\x00\x01" + b"\x02h" + b"\x00\x00\x23\x84" + b"\x00" + b"\x00"
    partition = (
        b"\x00\x00" + bytes(4) + b"\x00\x00\x00\x01" + bytes(4) + 2 * b"\x02\x00\x00\x00\x01" + b"\x01" + b"\x00"
    )
    topic = b"\x00\x00" + b"\x02t" + bytes(range(16)) + b"\x00" + b"\x02" + partition + b"\x80\x00\x00\x00" + b"\x00"
    told = bytes(4) + b"\x02" + broker + b"\x02c" + b"\x00\x00\x00\x01" + b"\x02" + topic + b"\x00"
    [(error, name, id_, *_)] = internals._TopicsRequestV12.RESPONSE_TYPE.decode(told).topics
    return bool((error, name, id_) == (0, "t", bytes(range(16))))


def has_a_client() -> bool:
    sends = list(inspect.signature(AIOKafkaClient.send).parameters)[:3] == ["self", "node_id", "request"]
    return sends and "_client" in AIOKafkaConsumer.__init__.__code__.co_names


NAMES: dict[str, Callable[[], bool]] = {
    "MemoryRecords in aiokafka.consumer.fetcher": lambda: fetcher_reads_by("MemoryRecords"),
    "MemoryRecords.has_next": lambda: MemoryRecords(batch()).has_next() is True,
    "MemoryRecords.next_batch": lambda: [record.key for record in MemoryRecords(batch()).next_batch()] == [b"o1"],
    "AIOKafkaProducer._message_accumulator.fail_all": fails_what_is_held,
    "AIOKafkaConsumer._client.send": has_a_client,
    "AIOKafkaClient.get_random_node": lambda: AIOKafkaClient.get_random_node.__code__.co_argcount == 1,
    "protocol.api.Request": asks_for_topics,
    "protocol.api.Response": hears_of_topics,
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
