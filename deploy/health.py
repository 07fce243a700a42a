"""The health check of a container: what this service says of itself, and whether that is good
(shared/runtime/health.py)."""

import os
import sys
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

ADDRESS = f"http://127.0.0.1:{os.environ.get('RECOURSE_HTTP_PORT', '8080')}/health"

if __name__ == "__main__":
    try:
        with urlopen(ADDRESS, timeout=4) as answer:
            print(answer.read().decode())
    except HTTPError as unwell:
        sys.exit(unwell.read().decode())
    except (URLError, OSError) as silent:
        sys.exit(f"{ADDRESS} does not answer: {silent}")
