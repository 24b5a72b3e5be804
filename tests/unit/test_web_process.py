"""What the web page's process holds in memory."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("scipy", "numba", "faust", "pandas", "xarray", "pyarrow")


def test_the_process_of_the_page_brings_no_models_and_no_worker() -> None:
    program = f"import sys, ops.web.service; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
