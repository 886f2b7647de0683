"""Controls to step through walks, to pull directions, to browse parameters, and to play with figures, in a notebook."""

from helpers.widgets.directions import ImageDirections, SentenceDirections
from helpers.widgets.figure_explorer import FigureExplorer
from helpers.widgets.model_walker import ClassWalker, SentenceWalker
from helpers.widgets.parameter_browser import ParameterBrowser
from helpers.widgets.plane_walker import PlaneWalker

__all__ = [
    "ClassWalker",
    "FigureExplorer",
    "ImageDirections",
    "ParameterBrowser",
    "PlaneWalker",
    "SentenceDirections",
    "SentenceWalker",
]
