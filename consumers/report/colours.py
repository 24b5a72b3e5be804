"""Colours of a tenant on a page that must stay readable.

Source of luminance, contrast ratio and the ratio 4.5: WCAG 2.2, success criterion 1.4.3.
"""

from __future__ import annotations

LEAST_CONTRAST = 4.5
PAPER = "#ffffff"
INK = "#16202b"
"""Text colour of the page; also what stands on a pale primary colour."""
TINT = 0.07
"""Share of the primary colour in the page's pale surfaces (expert assumption)."""


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def _linear(channel: int) -> float:
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - of sRGB


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, 0 for black to 1 for white."""
    red, green, blue = map(_linear, _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_on(colour: str) -> str:
    """Black or white, whichever stands out more; one of them always has a ratio of 4.5 or more."""
    return max(("#ffffff", "#000000"), key=lambda text: contrast(text, colour))


def mixed(colour: str, share: float, paper: str = PAPER) -> str:
    """`share` of a colour over paper."""
    pairs = zip(_channels(colour), _channels(paper), strict=True)
    return "#" + "".join(f"{round(share * top + (1 - share) * under):02x}" for top, under in pairs)


def palette(primary: str, accent: str) -> dict[str, str]:
    """CSS custom properties of a tenant's page.

    `heading` and `link` fall back to ink where the tenant's colour would be too pale for text.
    """
    tint = mixed(primary, TINT)
    return {
        "primary": primary,
        "on-primary": text_on(primary),
        "accent": accent,
        "tint": tint,
        "heading": primary if contrast(primary, tint) >= LEAST_CONTRAST else INK,
        "link": accent if contrast(accent, tint) >= LEAST_CONTRAST else INK,
    }
