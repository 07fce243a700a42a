"""`make fuzz`: the codec under atheris, which looks for bytes that reach new branches of our code.

What it found worth keeping lies in .recourse/fuzz/corpus and is begun with the next time. A finding is written to
.recourse/fuzz, with its stack trace on the terminal; given as a file it is played again.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from random import Random

FOLDER = Path(".recourse/fuzz")
INPUT_BYTES_MAX = 16 * 1024
INPUT_SECONDS_MAX = 60
JSON_SHARE = 0.5
"""Of what is tried: a good record or a bad one of the tables with one thing changed, so that every type has its turn,
whatever the coverage says. The rest is what the fuzzer makes of what it found."""
RSS_MIB_MAX = 2_048


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("file", nargs="?", type=Path, help="a finding, to be played again")
    asked = arguments.parse_args()
    try:
        atheris = import_module("atheris")
    except ImportError:
        print("Nothing was fuzzed: atheris is not installed, it comes for Linux on x86-64 alone.", file=sys.stderr)
        return 1
    with atheris.instrument_imports(include=["schemas", "services", "shared"]):
        target = import_module("tests.fuzz.codec")
    seeds = target.seeds()
    options = [f"-max_total_time={asked.seconds}", f"-max_len={INPUT_BYTES_MAX}", f"-rss_limit_mb={RSS_MIB_MAX}"]
    options += [f"-artifact_prefix={FOLDER}/", "-print_final_stats=1", f"-timeout={INPUT_SECONDS_MAX}"]
    if asked.file is None:
        corpus = FOLDER / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (corpus / f"seed-{number:04}").write_bytes(seed)
        dictionary = FOLDER / "words"
        dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in sorted(target.words())))
        options += [f"-dict={dictionary}", str(corpus)]
    else:
        options.append(str(asked.file))

    def mutate(data: bytes, size_max: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < JSON_SHARE:
            return bytes(target.mutated(random.choice(seeds), random)[:size_max])
        return bytes(atheris.Mutate(data, size_max))

    atheris.Setup([sys.argv[0], *options], target.fuzz, custom_mutator=mutate)
    atheris.Fuzz()
    return 0


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
