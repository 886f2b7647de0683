"""The colours of the widgets, read from their own style sheet: text stands out 4.5:1 and marks 3:1 in either theme."""

import re
from pathlib import Path

import numpy as np
import pytest

from helpers.figures.style import ALGORITHM_COLOURS, THEME_COLOURS
from helpers.widgets import theme, views

FOLDER = Path(theme.__file__).parent
COLOURS = {  # variable -> (on a light page, on a dark page), without a front end
    name: pair
    for name, *pair in re.findall(
        r"(--tm-[\w-]+):[^;]*?light-dark\(\s*(#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\s*\)", theme.THEME
    )
}
TEXTS = ("ink", "quiet", "error")
MARKS = ("line", "bar", "largest", "chosen", "focus", *(name for name in COLOURS if "algorithm" in name))
GROUNDS = (  # pages: this style sheet's own, JupyterLab's, VS Code's, Colab's
    ("#ffffff", "#fafafa", "#f8f8f8"),
    ("#111111", "#212121", "#1f1f1f", "#383838"),
)


def luminance(colour: str) -> float:
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def colour(name: str, page: int) -> str:
    return COLOURS[name if name.startswith("--") else f"--tm-{name}"][page]


def mix(one: str, other: str, share: float) -> str:
    """Mix two colours as color-mix(in srgb, ...) does."""
    channels = (round(share * int(one[i : i + 2], 16) + (1 - share) * int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("page", [0, 1], ids=["light", "dark"])
def test_texts_and_marks_stand_out(page):
    faint = [(name, ground) for name in TEXTS for ground in GROUNDS[page] if contrast(colour(name, page), ground) < 4.5]
    grounds = (*GROUNDS[page], colour("track", page))
    faint += [(name, ground) for name in MARKS for ground in grounds if contrast(colour(name, page), ground) < 3]
    assert faint == []


@pytest.mark.parametrize("page", [0, 1], ids=["light", "dark"])
def test_words_can_be_read_on_every_shade(page):
    for share in np.linspace(0, 1, 11):
        shade = mix(colour("shade", page), colour("cell", page), share)
        assert contrast(colour("ink", page), shade) >= 4.5, share
        assert contrast(colour("chosen", page), shade) >= 3, share
        assert contrast(colour("quiet", page), mix(colour("shade", page), colour("cell", page), 0.3 * share)) >= 4.5


def test_an_algorithm_has_the_colour_that_it_has_in_the_figures():
    assert {"corrected", "SiMEC", "SiMExp", "random", "naive"} <= set(THEME_COLOURS) <= set(ALGORITHM_COLOURS)
    for name, pair in THEME_COLOURS.items():
        assert tuple(COLOURS[f"--tm-algorithm-{name.lower().replace('_', '-')}"]) == pair
        assert ALGORITHM_COLOURS[name] == tuple(int(pair[0][i : i + 2], 16) / 255 for i in (1, 3, 5))


def test_every_view_takes_its_colours_from_the_theme():
    for view in views.View.__subclasses__():
        assert view._css.startswith(theme.THEME)
    scripts = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js"))
    for path in FOLDER.glob("*.css"):
        css = path.read_text(encoding="utf-8")
        used, defined = (set(re.findall(form, css)) for form in (r"var\((--[\w-]+)", r"(--tm-[\w-]+):"))
        assert path.name == "theme.css" or all(
            name in COLOURS.keys() | defined or f'"{name}"' in scripts for name in used
        ), path.name
