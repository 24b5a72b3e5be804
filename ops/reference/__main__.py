"""`python -m ops.reference docs/reference` writes the generated pages anew."""

from __future__ import annotations

import sys
from pathlib import Path

from ops.reference.pages import pages

folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
for name, text in pages().items():
    (folder / name).write_text(text, encoding="utf-8")
