"""What a test needs and may lack: said in one line, or a failure where everything has to run."""

import os
import subprocess
from functools import cache
from typing import NoReturn

import pytest

ENGINE_SECONDS = 30


def not_run(reason: str) -> NoReturn:
    """Skips the test, or fails it where RECOURSE_TESTS_REQUIRED is set."""
    if os.environ.get("RECOURSE_TESTS_REQUIRED"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def container_engine(who: str) -> None:
    """`who`: what is not run without one."""
    if problem := _problem():
        not_run(f"{who}: not run, no container engine with compose answers: {problem}")


@cache
def _problem() -> str:
    try:
        asked = ["docker", "compose", "ls"]
        subprocess.run(asked, capture_output=True, text=True, check=True, timeout=ENGINE_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        return str(getattr(error, "stderr", None) or error).strip()
    return ""
