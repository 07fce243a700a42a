"""`make simulate`: histories from seeds, on every core, for some seconds; or one seed again, told if it fails."""

import argparse
import gc
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic, process_time, time

from services.composition import DECIDERS
from tests.simulation import tables
from tests.simulation.coverage import Visited, all_cells
from tests.simulation.history import Judged, fingerprint, judge, shrink, tell
from tests.simulation.plan import draw

CHUNK = 20
HISTORIES = 200
FAILURES_TOLD_MAX = 3


@dataclass
class Chunk:
    """What a worker found out about some seeds."""

    first: int
    histories: int = 0
    records: int = 0
    cpu_seconds: float = 0.0
    failing: list[int] = field(default_factory=list)
    visited: Visited = field(default_factory=Visited)
    digest: str = ""


def search(first: int, histories: int) -> Chunk:
    gc.freeze()  # what is loaded by now stays: not looked at again by every collection
    chunk, digest, began = Chunk(first), blake2b(digest_size=16), process_time()
    for seed in range(first, first + histories):
        judged = judge(draw(seed), chunk.visited)
        chunk.histories += 1
        if judged.wrong:
            chunk.failing.append(seed)
        if judged.played is not None:
            chunk.records += len(judged.played.world.bus.heard)
            digest.update(fingerprint(judged.played).encode())
    chunk.digest, chunk.cpu_seconds = digest.hexdigest(), process_time() - began
    return chunk


def search_everywhere(first: int, histories: int | None, seconds: float | None, cores: int) -> list[Chunk]:
    """On so many cores; chunk by chunk until the histories are done or the time is over."""
    ends = monotonic() + (seconds or float("inf"))
    chunks: list[Chunk] = []

    def firsts() -> Iterator[tuple[int, int]]:
        done = 0
        while monotonic() < ends and (histories is None or done < histories):
            size = CHUNK if histories is None else min(CHUNK, histories - done)
            yield first + done, size
            done += size

    with ProcessPoolExecutor(cores) as workers:
        coming = firsts()
        running = {workers.submit(search, *one) for _, one in zip(range(cores), coming, strict=False)}
        while running:
            done = next(as_completed(running))
            running.remove(done)
            chunks.append(done.result())
            running |= {workers.submit(search, *one) for _, one in zip(range(1), coming, strict=False)}
    return sorted(chunks, key=lambda chunk: chunk.first)


def report(chunks: list[Chunk], cells: bool) -> None:
    visited = Visited()
    for chunk in chunks:
        visited += chunk.visited
    histories, cpu = sum(chunk.histories for chunk in chunks), sum(chunk.cpu_seconds for chunk in chunks)
    records = sum(chunk.records for chunk in chunks)
    struck = ", ".join(f"{kind} {times}" for kind, times in visited.struck.most_common())
    print(f"{histories} histories, {records} records, {histories / cpu:.1f} histories per second and core")
    print(f"{visited.struck.total()} faults: {struck}")
    known = set(all_cells(list(DECIDERS.values())))
    met = {cell for cell, _ in visited.cells} & known
    print(f"{len(met)} of {len(known)} pairs of state and input met; under faults {len(visited.cells)} different cells")
    if cells:
        built = tables.met()
        for service, state, input_ in sorted(known - met):
            where = "by construction, in tests/domain" if (service, state, input_) in built else "nowhere"
            print(f"  not met here: {service:10} {state:22} {input_:30} {where}")
    failing = [seed for chunk in chunks for seed in chunk.failing]
    print(f"{len(failing)} violations" + (f": seeds {' '.join(map(str, failing[:20]))}" if failing else ""))
    for seed in failing[:FAILURES_TOLD_MAX]:
        print(f"\n{tell(shrink(judge(draw(seed))))}")
    digest = blake2b("".join(chunk.digest for chunk in chunks).encode(), digest_size=16)
    print(f"hash {digest.hexdigest()}")
    if failing:
        sys.exit(1)


def replay(seed: int) -> None:
    judged: Judged = judge(draw(seed))
    if judged.wrong:
        print(tell(shrink(judged)))
    elif judged.played is not None:
        for when, what in judged.played.world.story:
            print(str(when)[5:23], what)
        print(f"seed {seed}: nothing is wrong")
    if judged.played is not None:
        print(f"hash {fingerprint(judged.played)}")
    if judged.wrong:
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="only this one, told")
    parser.add_argument("--seconds", type=float, help="go on so long, from a seed nobody has tried")
    parser.add_argument("--histories", type=int, help=f"so many from --first on ({HISTORIES})")
    parser.add_argument("--first", type=int)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cells", action="store_true", help="name every pair of state and input that was not met")
    told = parser.parse_args()
    if told.seed is not None:
        replay(told.seed)
    else:
        first = told.first if told.first is not None else (int(time()) << 20 if told.seconds else 0)
        print(f"from seed {first} on")
        many = told.histories if told.histories or told.seconds else HISTORIES
        report(search_everywhere(first, many, told.seconds, told.cores), told.cells)
