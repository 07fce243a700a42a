"""A page whose recipes are commands with their output, as a terminal shows them: read, run and compared.

    ```console
    $ a command |
        that goes on
    what it prints
    ```

A command goes on until it is whole, as bash sees it. In the output `…` stands for anything within a line, a line of it
alone for any lines. What prints nothing acts, and is run once; what prints something looks, or may be done twice, and
is asked again until it shows what the page says.
"""

import difflib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

FENCE, KIND = "```", "console"
PROMPT = "$ "
ANYTHING = "…"
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
PATIENCE_SECONDS = 60
"""For what was asked to happen, on a machine that has much else to do."""
COMMAND_SECONDS_MAX = 300
"""Of one command; the first may have an image to make."""


@dataclass(frozen=True)
class Recipe:
    """One command. `line` is where its block begins."""

    heading: str
    line: int
    command: str
    output: tuple[str, ...]

    def fails(self, folder: Path, environment: Mapping[str, str]) -> str | None:
        """Runs it; what was seen instead, or None."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, printed = _run(self.command, folder, environment)
            if status == 0 and shows(self.output, printed):
                return None
            if not self.output or time.monotonic() > until:
                return self._told(status, printed)
            time.sleep(0.5)

    def _told(self, status: int, printed: Sequence[str]) -> str:
        # What varies is shown as the page has it, so that the difference is all that differs.
        seen = [next((line for line in self.output if line != ANYTHING and _alike(line, one)), one) for one in printed]
        differs = difflib.unified_diff(self.output, seen, "the page", f"seen, exit status {status}", lineterm="")
        return "\n".join([f"{self.heading}, line {self.line}", PROMPT + self.command, *differs])


def read(page: str) -> list[Recipe]:
    """Every recipe of the page, in its order. Raises ValueError for a block that would not be run."""
    return [recipe for heading, line, block in _blocks(page) for recipe in _recipes(heading, line, block)]


def shows(expected: Sequence[str], printed: Sequence[str]) -> bool:
    match expected:
        case []:
            return not printed
        case [line, *rest] if line == ANYTHING:
            return any(shows(rest, printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and _alike(expected[0], printed[0]) and shows(expected[1:], printed[1:])


def _alike(expected: str, printed: str) -> bool:
    return re.fullmatch(".*?".join(map(re.escape, expected.split(ANYTHING))), printed) is not None


def _blocks(page: str) -> Iterator[tuple[str, int, list[str]]]:
    heading, lines = "", enumerate(page.splitlines(), 1)
    for number, line in lines:
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line == FENCE + KIND:
            yield heading, number, [inside for _, inside in takewhile(lambda one: one[1] != FENCE, lines)]
        elif line.startswith(FENCE):
            raise ValueError(f"line {number}: {line} is not run; what is shown here is {KIND}")


def _recipes(heading: str, began: int, block: list[str]) -> Iterator[Recipe]:
    lines = iter(block)
    commands: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith(PROMPT):
            command = line.removeprefix(PROMPT)
            while not _is_whole(command):
                if (more := next(lines, None)) is None:
                    raise ValueError(f"line {began}: this command has no end: {command}")
                command += "\n" + more
            commands.append((command, []))
        elif commands:
            commands[-1][1].append(line)
        else:
            raise ValueError(f"line {began}: the block begins with no command")
    if not commands:
        raise ValueError(f"line {began}: the block is empty")
    for command, output in commands:
        if output and not any(set(line) - set(f"{ANYTHING} ") for line in output):
            raise ValueError(f"line {began}: whatever this prints would do")
        yield Recipe(heading, began, command, tuple(_trimmed("\n".join(output))))


def _is_whole(command: str) -> bool:
    """An open quote, pipe or loop is an error of syntax, an open here-document a warning."""
    read = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
    return not (command.endswith("\\") or read.returncode or read.stderr)


def _trimmed(printed: str) -> list[str]:
    """Its lines, without what nobody sees: blanks around them, a terminal's orders to itself."""
    return "\n".join(line.rstrip() for line in CONTROL.sub("", printed).splitlines()).strip("\n").splitlines()


def _run(command: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Exit status and what a terminal would show."""
    process = subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=COMMAND_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        printed, _ = process.communicate()
        printed += f"\n(ended after {COMMAND_SECONDS_MAX} s)"
    return process.returncode, _trimmed(printed)
