"""Each running service describes itself under /asyncapi: which messages it reads, on which topics."""

import json
from importlib import import_module
from types import SimpleNamespace
from typing import cast

import pytest
from faststream.asgi import AsgiFastStream
from faststream.kafka import KafkaBroker

from schemas.topics import SERVICES
from shared.kernel.codec import Decoder
from shared.runtime.application import _handler
from shared.runtime.kafka.source import KafkaSource
from shared.runtime.shard_loop import ShardLoop


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_describes_what_it_reads(service: str) -> None:
    decider = import_module(f"services.{service}.domain").DECIDER
    decoder = Decoder(decider.service, decider.hears, partitions=2)
    broker = KafkaBroker(apply_types=False, logger=None)
    source = KafkaSource(broker, service, decoder.topics, partitions=2, prefix="", batch_max=1)
    source.subscriber(_handler(source, cast(ShardLoop, SimpleNamespace(decoder=decoder))))

    document = json.loads(AsgiFastStream(broker, logger=None).schema.to_specification().to_json())

    assert document["asyncapi"] == "3.0.0"
    assert {name.partition(":")[0] for name in document["channels"]} == set(decoder.topics)
    read = {model.__name__ for model in (*decoder.commands.values(), *decoder.heard.values())}
    assert read <= set(document["components"]["schemas"])
