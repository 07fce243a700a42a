"""The embedded stack keeps what it must through a kill, and leaves nothing behind."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp
from urllib.request import urlopen

import asyncpg
import psutil
import pytest
import pytest_asyncio
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.partitioner import murmur2

from deploy.local import folder_lock
from deploy.local.mailbox import Mailbox
from deploy.local.processes import LocalStackError
from deploy.local.run import ORDER, first_command
from deploy.local.small import GROUPS
from deploy.local.stack import REPO, Stack
from deploy.setup.job import SetUpFailed
from deploy.setup.topics import create_topics
from schemas.topics import CASE_FILE, SERVICES, Topic
from tests.support.topics import first, producer

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

PARTITIONS = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with Stack(own_servers=True, partitions=PARTITIONS) as stack:
        yield stack


async def test_kafka_keeps_address_and_records_through_a_kill(stack: Stack) -> None:
    await produce(stack.bootstrap_servers, "order.commands", b"before")
    address, pid = stack.bootstrap_servers, stack.kafka.pid

    await stack.kafka.kill()
    assert is_dead(pid)
    await stack.kafka.start()

    assert (stack.kafka.bootstrap_servers, stack.kafka.pid == pid) == (address, False)
    await produce(address, "order.commands", b"after")
    assert [record.value for record in await first(address, "order.commands", 2)] == [b"before", b"after"]


async def test_postgres_keeps_address_and_rows_through_a_kill(stack: Stack) -> None:
    witness = await asyncpg.connect(stack.database_url)
    await witness.execute("create table kept as select 42 as answer")
    url, family = stack.postgres.url, processes_of(stack.postgres.pid)

    await stack.postgres.kill()
    assert all(is_dead(pid) for pid in family)
    witness.terminate()
    await stack.postgres.start()

    assert stack.postgres.url == url
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select answer from kept") == 42
    await connection.close()


async def test_a_stop_is_followed_by_a_start_with_the_same_data(stack: Stack) -> None:
    await produce(stack.bootstrap_servers, "payments.events", b"kept")
    await asyncio.gather(stack.kafka.stop(), stack.postgres.stop())
    await asyncio.gather(stack.kafka.start(), stack.postgres.start())
    assert [record.value for record in await first(stack.bootstrap_servers, "payments.events", 1)] == [b"kept"]


async def test_cpu_time_is_counted(stack: Stack) -> None:
    before = stack.postgres.cpu_seconds()
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute("select count(*) from generate_series(1, 3000000)")
    await connection.close()
    assert stack.postgres.cpu_seconds() > before
    assert stack.kafka.cpu_seconds() > 0


async def test_the_first_command_of_make_run_lies_where_its_key_belongs(stack: Stack) -> None:
    command = first_command(stack.bootstrap_servers).replace("order.commands", "refund.commands")
    await asyncio.to_thread(subprocess.run, command, shell=True, cwd=REPO, check=True, timeout=30)
    [record] = await first(stack.bootstrap_servers, "refund.commands", 1)
    assert record.key == ORDER.encode()
    assert record.partition == (murmur2(ORDER.encode()) & 0x7FFFFFFF) % PARTITIONS
    assert record.headers == (("content-type", b"application/cloudevents+json"),)
    assert json.loads(record.value)["subject"] == ORDER


async def hand_over(port: int, subject: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = [
        "HELO x",
        "MAIL FROM:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "DATA",
        f"Subject: {subject}",
        "",
        "Yes",
        ".",
        "QUIT",
    ]
    writer.write("".join(f"{line}\r\n" for line in said).encode())
    await reader.read()
    writer.close()


async def test_mail_is_kept(stack: Stack) -> None:
    await hand_over(stack.smtp_port, "Hi")
    assert [message["Subject"] for message in stack.mailbox.messages] == ["Hi"]


async def test_a_service_that_cannot_start_is_reported_with_its_log(stack: Stack) -> None:
    with pytest.raises(LocalStackError, match=r"No module named services\.nonesuch"):
        await stack.start_services(["nonesuch"])


async def test_servers_named_by_the_environment_are_used(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", stack.bootstrap_servers)
    monkeypatch.setenv("DATABASE_URL", stack.database_url)
    said: list[str] = []
    async with Stack(partitions=PARTITIONS + 1, say=said.append) as guest:
        assert guest.partitions == PARTITIONS, "what is there keeps what it has"
        assert (guest.bootstrap_servers, guest.database_url) == (stack.bootstrap_servers, stack.database_url)
        with pytest.raises(LocalStackError, match="not ours"):
            _ = guest.kafka
    assert len(said) == 1
    stack.kafka.check()


async def test_two_stacks_side_by_side_do_not_meet(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", stack.bootstrap_servers)
    monkeypatch.setenv("DATABASE_URL", stack.database_url)
    async with Stack(own_servers=True, partitions=PARTITIONS) as other:
        assert other.bootstrap_servers != stack.bootstrap_servers
        await create_topics(other.bootstrap_servers, [Topic("only-there", 1)])
        await produce(other.bootstrap_servers, "only-there", b"x")
        connection = await asyncpg.connect(other.database_url)
        await connection.execute("create table only_there ()")
        await connection.close()
        servers = [other.kafka.pid, other.postgres.pid]
        log = other.postgres.log.open()
    with log:
        assert "received immediate shutdown request" in log.read(), "what is thrown away is not closed in good order"
    assert all(is_dead(pid) for pid in servers)
    assert not other.folder.exists()
    connection = await asyncpg.connect(stack.database_url)
    assert await connection.fetchval("select to_regclass('only_there')") is None
    await connection.close()
    with pytest.raises(UnknownTopicOrPartitionError):
        async with producer(stack.bootstrap_servers, request_timeout_ms=2_000) as to:
            await to.partitions_for("only-there")


async def test_topics_are_created_once_and_never_repartitioned(stack: Stack) -> None:
    await create_topics(stack.bootstrap_servers, [Topic("twice", 3)])
    await create_topics(stack.bootstrap_servers, [Topic("twice", 3)])
    with pytest.raises(SetUpFailed, match="twice: partitions is 3, declared 4"):
        await create_topics(stack.bootstrap_servers, [Topic("twice", 4)])


async def test_mail_of_before_is_kept(tmp_path: Path) -> None:
    for number in (1, 2):
        mailbox = Mailbox(tmp_path)
        await mailbox.open()
        await hand_over(mailbox.port, f"Letter {number}")
        mailbox.close()
    kept = texts(tmp_path, "*.eml")
    assert [kept[file].splitlines()[0] for file in sorted(kept)] == ["Subject: Letter 1", "Subject: Letter 2"]


async def test_make_run_says_where_all_is_shares_its_folder_with_nobody_and_gives_all_back() -> None:
    folder = Path(mkdtemp(prefix="recourse-run-"))
    first_run = await make_run(folder)
    try:
        said = await guide_of(first_run)
        for service in SERVICES:
            [url] = re.findall(rf"^ +{service} +(http://\S+/health)$", said, re.MULTILINE)
            assert await asyncio.to_thread(answers, url)
        assert re.search(rf"^Mail +{folder}/mail\b", said, re.MULTILINE)
        logs = {file.stem for file in (folder / "logs").iterdir()}
        assert logs == {"kafka", "postgres", CASE_FILE, *("+".join(group) for group in GROUPS)}
        kept = texts(folder, "*/*port")
        assert len(kept) == 3

        second_run = await make_run(folder)
        _, refused = await asyncio.wait_for(second_run.communicate(), 30)
        assert f"Another stack has {folder} (process {first_run.pid})" in refused.decode()
        assert second_run.returncode == 1
        assert texts(folder, "*/*port") == kept, "where make verify looks for the first"
        assert first_run.returncode is None

        family = processes_of(first_run.pid)[1:]
        first_run.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(first_run.wait(), 60) == 0
        assert all(is_dead(pid) for pid in family)
        assert all(is_free(int(port)) for port in kept.values())
        os.close(await folder_lock.lock(folder))
    finally:
        if first_run.returncode is None:
            first_run.terminate()
            await first_run.wait()
        shutil.rmtree(folder)


async def make_run(folder: Path) -> asyncio.subprocess.Process:
    argv = [sys.executable, "-m", "deploy.local.run", "--data", str(folder)]
    named = {"KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in named}
    pipe = subprocess.PIPE

    def hears_ctrl_c() -> None:
        """Also where these tests are in a shell's background and hear none."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return await asyncio.create_subprocess_exec(
        *argv, cwd=REPO, env=environment, stdout=pipe, stderr=pipe, preexec_fn=hears_ctrl_c
    )


async def guide_of(run: asyncio.subprocess.Process) -> str:
    assert run.stdout is not None
    return (await asyncio.wait_for(run.stdout.readuntil(b"the data stays.\n"), 120)).decode()


def texts(folder: Path, pattern: str) -> dict[Path, str]:
    return {file: file.read_text("utf-8") for file in folder.glob(pattern)}


def answers(url: str) -> bool:
    with urlopen(url, timeout=5) as answer:
        return bool(json.loads(answer.read())["healthy"])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def test_sigkill_of_the_parent_leaves_no_process_and_no_data() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", _PARENT, cwd=REPO, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    opened = json.loads(await parent.stdout.readline())
    family = [pid for server in opened["pids"] for pid in processes_of(server)]
    assert len(family) > 2
    assert os.path.exists(opened["folder"])  # noqa: ASYNC240

    parent.kill()
    await parent.wait()

    until = time.monotonic() + 10
    while os.path.exists(opened["folder"]) or not all(is_dead(pid) for pid in family):  # noqa: ASYNC240
        assert time.monotonic() < until, "something is left"
        await asyncio.sleep(0.05)


_PARENT = """
import asyncio, json
from deploy.local.stack import Stack

async def main():
    async with Stack(partitions=1, say=lambda _: None) as stack:
        pids = [stack.kafka.pid, stack.postgres.pid]
        print(json.dumps({"pids": pids, "folder": str(stack.folder)}), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def produce(bootstrap_servers: str, topic: str, value: bytes) -> None:
    async with producer(bootstrap_servers) as to:
        await to.send_and_wait(topic, value, partition=0)


def processes_of(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def is_dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
