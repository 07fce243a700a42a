"""`python -m services.casefile`; with `rebuild` its tables are made again from the topics, while it answers."""

import os
import sys

from services.casefile.app import following, making
from shared.runtime.process import run

if sys.argv[1:] == ["rebuild"]:
    os.environ["RECOURSE_CASEFILE_HTTP_PORT"] = "0"  # the one set for this place is taken by who shows
    run(making())
elif sys.argv[1:]:
    sys.exit("python -m services.casefile takes nothing or `rebuild`.")
else:
    run(following())
