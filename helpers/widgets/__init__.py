"""Controls to step through walks, and to play with figures, in a notebook."""

from helpers.widgets.class_walker import ClassWalker
from helpers.widgets.figure_explorer import FigureExplorer
from helpers.widgets.plane_walker import PlaneWalker
from helpers.widgets.sentence_walker import SentenceWalker

__all__ = ["ClassWalker", "FigureExplorer", "PlaneWalker", "SentenceWalker"]
