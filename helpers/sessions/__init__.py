"""Walks made by hand, step by step, without any widget: a script, a notebook or a web page can drive them.

A session starts from an input of a model, ``ImageInput`` or ``SentenceInput``. Each point of it has a *frame*: a small
dictionary of plain numbers and texts that says what is seen there. Frames can be stored as JSON and shown by any front
end; the widgets of ``helpers.widgets`` are one. ``ParameterSession`` does for a model's parameters what these do for
its inputs.
"""

from helpers.sessions.directions import Directions
from helpers.sessions.export import tabulate_frames, write_code, write_gif, write_mp4
from helpers.sessions.inputs import ImageInput, SentenceInput
from helpers.sessions.parameters import ParameterSession, Place, ReadParameter
from helpers.sessions.plane import PlaneSession
from helpers.sessions.race import Race
from helpers.sessions.walk import WalkChoices, WalkSession
from helpers.sessions.words import WordEffects

__all__ = [
    "Directions",
    "ImageInput",
    "ParameterSession",
    "Place",
    "PlaneSession",
    "Race",
    "ReadParameter",
    "SentenceInput",
    "WalkChoices",
    "WalkSession",
    "WordEffects",
    "tabulate_frames",
    "write_code",
    "write_gif",
    "write_mp4",
]
