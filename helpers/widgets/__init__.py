"""Controls to step through walks in a notebook."""

from helpers.widgets.class_walker import ClassWalker
from helpers.widgets.plane_walker import PlaneWalker
from helpers.widgets.sentence_walker import SentenceWalker

__all__ = ["ClassWalker", "PlaneWalker", "SentenceWalker"]
