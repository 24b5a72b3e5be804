"""The generated pages by their file names."""

from __future__ import annotations

from ops.reference import command_page, http_page, metrics_page, settings_page, topics_page


def pages() -> dict[str, str]:
    """Text of each page; http.md is among them only where the web server is."""
    found = {
        "settings.md": settings_page.text(),
        "command-line.md": command_page.text(),
        "topics.md": topics_page.text(),
        "metrics.md": metrics_page.text(),
        "http.md": http_page.text(),
    }
    return {name: text for name, text in found.items() if text is not None}
