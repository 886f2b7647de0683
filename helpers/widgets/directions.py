"""Widgets with sliders that move an input along visible directions and along null directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from helpers.adapters import ImageAdapter, TextAdapter
from helpers.adapters.text import Text
from helpers.sessions import Directions, ImageInput, SentenceInput
from helpers.widgets.views import CommandView

SCRIPTS = "dom patch_grid token_strip output_bars drift_plot plane stages take_away directions"


class DirectionView(CommandView, files=SCRIPTS):
    """Sliders along single directions of an input, all of equal length; see ``Directions``.

    Args:
        session: the directions.
    """

    commands = ("pull", "take_away")
    setup = traitlets.Dict().tag(sync=True)  # the input and its directions
    pulled = traitlets.Dict().tag(sync=True)  # the frame after the last move

    def __init__(self, session: Directions):
        super().__init__()
        self.session, self._place = session, (0, 0.0)
        self.setup = session.describe()

    def pull(self, index: int, length: float) -> None:
        """Move the input along the direction of this number, by a length with its sign."""
        self._run(lambda: self._pull(index, length), "cannot move: ")

    def _pull(self, index: int, length: float) -> None:
        self.pulled, self._place = self.session.pull(index, length), (index, length)

    def _repeat(self, name: str) -> str:
        start = f"{name}.session.input, {self.session.towards}, seed={self.session.seed}"
        imported, place = "from helpers.sessions import Directions", ", ".join(map(repr, self._place))
        return f"{imported}\ndirections = Directions({start})\ndirections.find_point({place})"


class ImageDirections(DirectionView):
    """Sliders that move an image along directions that the model sees, and along directions of the kernel.

    Args:
        adapter: an ``ImageAdapter``, in embedding space or in pixels.
        raw: the image.
        targets: other images, by name; for each there is a null direction towards it.
        seed: of the random null directions.
    """

    def __init__(self, adapter: ImageAdapter, raw: Any, targets: Mapping[str, Any] | None = None, seed: int = 0):
        start = ImageInput(adapter, raw, targets)
        super().__init__(Directions(start, tuple(start.target_names), seed))


class SentenceDirections(DirectionView):
    """Sliders that move a sentence along directions that the model sees, and along directions of the kernel.

    Args:
        adapter: a ``TextAdapter``.
        raw: the sentence.
        towards: words; for each there is a null direction that moves every token towards it.
        seed: of the random null directions.
    """

    def __init__(self, adapter: TextAdapter, raw: Text, towards: Sequence[str] = (), seed: int = 0):
        super().__init__(Directions(SentenceInput(adapter, raw), tuple(towards), seed))
