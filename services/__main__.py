"""`python -m services order dispute`: several services in one process (docs/OPERATIONS.md)."""

import sys
from importlib import import_module

from schemas.topics import SERVICES
from shared.runtime.process import run

NAMES = sys.argv[1:]

if not NAMES or len(set(NAMES)) < len(NAMES) or not set(NAMES) <= set(SERVICES):
    sys.exit(f"python -m services takes some of these, each once: {', '.join(SERVICES)}. It was given: {NAMES}.")
run(*(import_module(f"services.{name}.app").APP for name in NAMES))
