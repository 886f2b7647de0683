"""Walk from an image or a sentence by hand, with the patches or tokens that you choose."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import traitlets
from PIL import Image

from helpers.adapters import Adapter, ImageAdapter, TextAdapter
from helpers.adapters.text import Text
from helpers.equivalence import ExplorationPath, WalkSettings
from helpers.sessions import (
    ImageInput,
    Race,
    SentenceInput,
    WalkSession,
    WordEffects,
    tabulate_frames,
    write_gif,
    write_mp4,
)
from helpers.sessions.inputs import ModelInput
from helpers.widgets.walker import Walker

OTHER_IMAGE = "the other image"  # name of the target that was drawn or uploaded
RAW = {"name", "pixels", "text"}  # of what create_input takes: each is an input by itself


class ModelWalker(Walker):
    """Walk by hand from an input of a model, with one algorithm, or with all of them in a race.

    Args:
        start: the input.
        settings: of the walks; controls set the step length and the tolerance.
        seed: of the random directions.
        inputs: what the page can choose besides the first input, by name.
        models: what the page can choose besides the first model, by name.
    """

    commands: tuple[str, ...] = (*Walker.commands, "show", "watch", "read")
    create_input: Callable[..., ModelInput]  # from what the page has chosen instead of the first input
    menus = traitlets.Dict().tag(sync=True)  # the names of the inputs and of the models to choose from

    def __init__(
        self,
        start: ModelInput,
        settings: WalkSettings | None,
        seed: int,
        inputs: Mapping[str, Any] | None = None,
        models: Mapping[str, Adapter] | None = None,
    ):
        self.settings, self._seed = settings, seed
        self._inputs, self._models = dict(inputs or {}), dict(models or {})
        self._first: Any = start
        self._source: dict[str, Any] = {}  # what ``create_input`` makes the present input of
        self.walk = WalkSession(start, settings, seed)
        self._race: Race | None = None
        super().__init__(self.walk)
        self.menus = {"inputs": list(self._inputs), "models": list(self._models)}

    @property
    def path(self) -> ExplorationPath:
        """The walk up to its last point, as whole points (T+1, parts, d_model); its settings are the latest ones."""
        return self.walk.path

    @property
    def race(self) -> Race:
        """All algorithms from the same input; its ``paths`` holds their walks."""
        self._race = self._race or Race(self.walk.input, self.settings, self._seed)
        return self._race

    def watch(self, name: str) -> None:
        """Show the output of one more class, where the model has many."""
        self._run(lambda: self.session.watch(name), "cannot show it: ")

    def show(self, mode: str) -> None:
        """Show one "walk", or the "race" of all algorithms, with the same choices."""
        if mode not in ("walk", "race"):
            raise ValueError(f"mode={mode!r}: wanted 'walk' or 'race'")
        self._run(lambda: self._switch(mode))

    def _switch(self, mode: str) -> None:
        choices = asdict(self.session.choices) | {"algorithm": self.walk.choices.algorithm}
        session = self.walk if mode == "walk" else self.race
        session.choose(**choices)
        self.session = session

    def read(self, **source: Any) -> None:
        """Start from another input; the old one stays where the model cannot read the new one.

        Args:
            source: what changes of what ``create_input`` takes, such as the ``name`` of an input or of a ``model``.
        """
        self._run(lambda: self._begin(source), "cannot start there: ")

    def _choose_source(self, name: str | None, model: str | None) -> tuple[Any, Any]:
        """Return the model and the raw input of these names; the first ones where there is no name."""
        for given, menu in ((name, self._inputs), (model, self._models)):
            if given is not None and given not in menu:
                raise ValueError(f"{given!r}: wanted one of {', '.join(menu)}")
        adapter = self._first.adapter if model is None else self._models[model]
        return adapter, self._first.raw if name is None else self._inputs[name]

    def _begin(self, changes: dict[str, Any]) -> None:
        """Start from another input, with the present choices, but all parts may move."""
        source = {k: v for k, v in self._source.items() if not (k in RAW and RAW & changes.keys())} | changes
        start = self.create_input(**source)
        target = OTHER_IMAGE if "target_pixels" in changes else None
        choices = asdict(self.walk.choices) | {"parts": (), "target": target}
        walk = WalkSession(start, self.settings, self._seed, **choices)
        is_race = self.session is not self.walk
        race = Race(start, self.settings, self._seed, **choices) if is_race else None
        self.walk, self._race, self._source = walk, race, source
        self.session = race or walk

    def _describe_start(self, name: str) -> str:
        source = ", ".join(f"{key}={value!r}" for key, value in self._source.items())
        return f"{name}.create_input({source}), {name}.settings, seed={self._seed}"

    @property
    def _writers(self) -> dict[str, tuple[str, Callable[[], bytes]]]:
        return super()._writers | {
            "path": ("walk.safetensors", lambda: _write_path(self.walk)),
            "gif": ("walk.gif", lambda: write_gif(self.walk)),
            "mp4": ("walk.mp4", lambda: write_mp4(self.walk)),
            "csv": ("walk.csv", lambda: tabulate_frames(self.walk).to_csv(index=False).encode()),
        }


def _write_path(walk: WalkSession) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "walk.safetensors"
        walk.path.save(path)
        return path.read_bytes()


class ClassWalker(ModelWalker):
    """Walk from an image by hand; click patches, or paint over them, to choose those that may move.

    Args:
        adapter: an ``ImageAdapter``, in embedding space or in pixels.
        raw: where to start, as ``adapter.encode`` takes it.
        settings: of the walks; controls set the step length and the tolerance.
        seed: of the random directions.
        targets: images that a walk may approach, by name.
        options: ``inputs`` and ``models``, by name: what a menu offers besides the first ones.
    """

    def __init__(
        self,
        adapter: ImageAdapter,
        raw: Any,
        settings: WalkSettings | None = None,
        seed: int = 0,
        targets: Mapping[str, Any] | None = None,
        **options: Mapping[str, Any],
    ):
        super().__init__(ImageInput(adapter, raw, targets), settings, seed, **options)

    def create_input(
        self,
        name: str | None = None,
        model: str | None = None,
        pixels: str | None = None,
        target_pixels: str | None = None,
    ) -> ImageInput:
        """Return the first input, or another one.

        Args:
            name: of an input of the menu.
            model: name of a model of the menu.
            pixels: of a picture that was drawn or uploaded, a PNG in base64.
            target_pixels: of one that becomes a target.
        """
        adapter, raw = self._choose_source(name, model)
        read = partial(_read_pixels, is_grey=adapter.channels == 1)
        other = {} if target_pixels is None else {OTHER_IMAGE: read(target_pixels)}
        return ImageInput(adapter, raw if pixels is None else read(pixels), self._first.targets | other)


def _read_pixels(pixels: str, is_grey: bool) -> np.ndarray:
    """Read a PNG in base64 as an array (H, W) or (3, H, W) in [0, 1]."""
    picture = Image.open(io.BytesIO(base64.b64decode(pixels))).convert("L" if is_grey else "RGB")
    values = np.asarray(picture, np.float32) / 255
    return values if is_grey else values.transpose(2, 0, 1)


class SentenceWalker(ModelWalker):
    """Walk from a sentence by hand; click tokens, or paint over them, to choose those that may move.

    Each token is shown as the word whose embedding is nearest to the present point; changed tokens are underlined. The
    darker the background of a token, the more the outputs depend on it at this point.

    Args:
        adapter: a ``TextAdapter``.
        raw: where to start, as ``adapter.encode`` takes it.
        settings: of the walks; controls set the step length and the tolerance.
        seed: of the random directions.
        options: ``inputs`` and ``models``, by name: what a menu offers besides the first ones.
    """

    commands = (*ModelWalker.commands, "find_words", "replace_word")

    def __init__(
        self,
        adapter: TextAdapter,
        raw: Text,
        settings: WalkSettings | None = None,
        seed: int = 0,
        **options: Mapping[str, Any],
    ):
        self._effects: WordEffects | None = None
        super().__init__(SentenceInput(adapter, raw), settings, seed, **options)

    def create_input(
        self, name: str | None = None, model: str | None = None, text: Text | None = None, outputs: str | None = None
    ) -> SentenceInput:
        """Return the first input, or another one.

        Args:
            name: of an input of the menu.
            model: name of a model of the menu.
            text: a sentence that was typed.
            outputs: the classes to tell apart, with commas; all of them where it is empty.
        """
        adapter, raw = self._choose_source(name, model)
        words = None if outputs is None else [word.strip() for word in outputs.split(",") if word.strip()]
        return SentenceInput(adapter, raw if text is None else text, self._first.outputs if words is None else words)

    @property
    def effects(self) -> WordEffects:
        """What each word of the sentence could be replaced by."""
        if self._effects is None or self._effects.start is not self.walk.input:
            start: Any = self.walk.input
            self._effects = WordEffects(start)
        return self._effects

    def find_words(self, part: int) -> None:
        """Send the page the words that the model holds equal at a token, and those that change its outputs most."""
        self._run(lambda: self.send({"words": self.effects.find_words(part)}), "cannot compare words: ")

    def replace_word(self, part: int, word: str) -> None:
        """Start from the sentence with another word at a token."""
        self._run(lambda: self._begin({"text": self.effects.replace_word(part, word)}))
