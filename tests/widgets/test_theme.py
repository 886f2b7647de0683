"""The colours of the widgets, read from their own style sheet: text stands out 4.5:1 and marks 3:1 in either theme."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from helpers.figures.style import ALGORITHM_COLOURS, ROLE_COLOURS, THEME_COLOURS
from helpers.widgets import theme, views

FOLDER = Path(theme.__file__).parent
COLOURS = {  # variable -> (on a light page, on a dark page), without a front end
    name: pair
    for name, *pair in re.findall(
        r"(--tm-[\w-]+):[^;]*?light-dark\(\s*(#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\s*\)", theme.THEME
    )
}
TEXTS = ("ink", "quiet", "error")
MARKS = ("line", *ROLE_COLOURS, "chosen", "focus", *(name for name in COLOURS if "algorithm" in name))
GROUNDS = (  # pages: this style sheet's own, JupyterLab's, VS Code's, Colab's
    ("#ffffff", "#fafafa", "#f8f8f8"),
    ("#111111", "#212121", "#1f1f1f", "#383838"),
)


SIGHTS = {  # how linear red, green and blue are seen. Source: Machado et al. 2009, table 1, severity 1
    "trichromacy": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}
OKLAB = (  # linear RGB -> cones -> lightness and two axes of hue, in which distances are alike. Source: Ottosson 2020
    [[0.4122215, 0.5363325, 0.0514459], [0.2119035, 0.6806995, 0.107397], [0.0883025, 0.2817188, 0.6299787]],
    [[0.2104543, 0.7936178, -0.004072], [1.9779985, -2.4285922, 0.4505937], [0.0259040, 0.7827718, -0.8086758]],
)


def linearise(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    return float(linearise(colour) @ [0.2126, 0.7152, 0.0722])


def distance(one: str, other: str, sight: str) -> float:
    """How different two colours look; black and white are 1 apart, and 0.02 is just seen."""
    first, second = (
        np.array(OKLAB[1]) @ np.cbrt(np.array(OKLAB[0]) @ (np.array(SIGHTS[sight]) @ linearise(each)).clip(0, 1))
        for each in (one, other)
    )
    return float(np.linalg.norm(first - second))


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


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("page", [0, 1], ids=["light", "dark"])
def test_what_is_predicted_visible_and_null_looks_different(page, sight):
    assert distance("#000000", "#ffffff", "trichromacy") == pytest.approx(1, abs=1e-3)
    pairs = itertools.combinations(ROLE_COLOURS, 2)
    near = {pair: distance(*(colour(role, page) for role in pair), sight) for pair in pairs}
    near.pop(("bar", "null"))  # both are blue; one is a bar, and the other the handle of a slider
    assert {pair: apart for pair, apart in near.items() if apart < 0.15} == {}
    assert [tuple(COLOURS[f"--tm-{role}"]) for role in ROLE_COLOURS] == [*ROLE_COLOURS.values()]


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
    for view in {*views.View.__subclasses__(), *views.CommandView.__subclasses__()} - {views.CommandView}:
        assert view._css.startswith(theme.THEME)
    scripts = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js"))
    for path in FOLDER.glob("*.css"):
        css = path.read_text(encoding="utf-8")
        used, defined = (set(re.findall(form, css)) for form in (r"var\((--[\w-]+)", r"(--tm-[\w-]+):"))
        assert path.name == "theme.css" or all(
            name in COLOURS.keys() | defined or f'"{name}"' in scripts for name in used
        ), path.name
