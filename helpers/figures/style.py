"""The style that all figures share: plain axes, a palette safe for colour-blind readers, one colour per algorithm."""

from __future__ import annotations

import functools
import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec, cast

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

COLOURS = sns.color_palette("colorblind", 10)
PALENESS = 0.5  # share of white in the colour of a walk by the released rule
THEME_COLOURS = {  # algorithm -> its colour on a light and on a dark page, where it stands out 3:1 or more
    "SiMEC": ("#0a58a0", "#4cb2ff"),  # blue
    "SiMExp": ("#d75c00", "#f0702a"),  # vermilion
    "corrected": ("#2a8f6c", "#6af0c6"),  # green; sweeps and widgets give this name to what walk_class computes
    "leave_class": ("#ac46b0", "#c57fba"),  # pink
    "naive": ("#744300", "#fbb649"),  # brown, or amber; straight steps along the kernel, without correction
    "random": ("#5c5c5c", "#b5b5b5"),  # grey; the control, steps of the same size in a random direction
}
ROLE_COLOURS = {  # what is drawn -> its colour on a light and on a dark page; tests compute how far apart they are
    "bar": ("#4d6580", "#93aeca"),  # slate; the bar of an output or a score
    "predicted": ("#212121", "#e0e0e0"),  # nearly black, or white; the bar of the predicted class
    "visible": THEME_COLOURS["SiMExp"],  # a direction with an eigenvalue above 0, in which SiMExp walks
    "null": THEME_COLOURS["SiMEC"],  # a direction with eigenvalue 0, in which SiMEC walks
}
COLOURS_ON_LIGHT = {algorithm: to_rgb(light) for algorithm, (light, _) in THEME_COLOURS.items()}

ALGORITHM_COLOURS = {  # algorithm -> its colour in every figure; the widgets use those of the page's theme
    **COLOURS_ON_LIGHT,
    "walk_class": COLOURS_ON_LIGHT["corrected"],
    **{  # mixed with white
        f"released {name}": tuple(PALENESS + (1 - PALENESS) * channel for channel in COLOURS_ON_LIGHT[name])
        for name in ("SiMEC", "SiMExp")
    },
    "baseline": COLOURS[7],  # grey; random noise along the gradient
    "baseline up": COLOURS[7],
    "baseline down": (0.25, 0.25, 0.25),
}
OTHER_COLOURS = [COLOURS[9], COLOURS[5], COLOURS[6], COLOURS[8]]  # for walks that no algorithm names
CONTROL_COLOUR = "0.45"  # grey of whatever a result is compared with
MARKERS = "os^DvP*Xp<"
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))  # five, so that no two similar colours share one
STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "image.cmap": "gray",
}
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function draw in this project's style, and close its figure so that a notebook shows it only once.

    A figure that an error leaves half drawn is closed, too.
    """

    @functools.wraps(draw)
    def draw_in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        before = plt.get_fignums()
        try:
            with plt.rc_context(STYLE):
                fig = draw(*args, **kwargs)
        finally:
            for number in set(plt.get_fignums()) - set(before):
                plt.close(number)
        plt.close(fig)
        return fig

    return draw_in_style


def style_walks(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Choose the arguments ``color`` and ``linestyle`` of ``Axes.plot`` for each walk of a figure from its name.

    A walk has the colour of the algorithm that its name begins with; the case of letters does not matter. Walks of
    the same colour differ by their line style. A name that begins with no algorithm gets one of the other colours.
    """
    others, uses, styles = itertools.cycle(OTHER_COLOURS), Counter[Any](), {}
    for name in names:
        colours = (c for algorithm, c in ALGORITHM_COLOURS.items() if name.lower().startswith(algorithm.lower()))
        colour = next(colours, None) or next(others)
        styles[name] = {"color": colour, "linestyle": DASHES[uses[colour] % len(DASHES)]}
        uses[colour] += 1
    return styles


def get_axes(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return the figure of the given axes and the axes, or a new figure of ``size`` inches with new axes."""
    return (cast(Figure, ax.figure), ax) if ax is not None else plt.subplots(figsize=size)


def create_panels(titles: Iterable[str], size: tuple[float, float], **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a new figure of ``size`` inches and its axes, one per title, side by side on one vertical scale."""
    names = list(titles)
    fig, axes = plt.subplots(1, len(names), figsize=size, squeeze=False, **{"sharey": True, **options})
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name)
    return fig, list(axes[0])


@dataclass(frozen=True)
class DescribedFigure:
    """A figure with an alternative text, which a notebook shows in place of the figure where it cannot be seen."""

    figure: Figure
    text: str

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the picture and the text, and the text once more as what a web page names ``alt``."""
        picture = io.BytesIO()
        self.figure.savefig(picture, format="png", bbox_inches="tight")
        return {"image/png": picture.getvalue(), "text/plain": self.text}, {"image/png": {"alt": self.text}}


def describe(figure: Figure, text: str) -> DescribedFigure:
    """Add an alternative text to a figure: a sentence on what is seen in it, for readers who cannot see it."""
    return DescribedFigure(figure, text)


def summarise_figure(figure: Figure) -> str:
    """Describe a figure by its titles, the labels of its axes and its legends, where it has no text of its own."""
    panels = []
    for ax in figure.axes:
        legend = ax.get_legend()
        names = [text.get_text() for text in legend.get_texts()] if legend else []
        labels = " over ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))
        panels.append(": ".join(filter(None, (ax.get_title(), labels, ", ".join(names)))))
    return f"Figure. {'. '.join(filter(None, panels))}.".replace(" .", "")
