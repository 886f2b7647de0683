"""Walk from an image or a sentence by hand, with the patches or tokens that you choose."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import traitlets

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
    write_code,
    write_gif,
    write_mp4,
)
from helpers.sessions.inputs import ModelInput
from helpers.widgets.walker import Walker

OTHER_IMAGE = "the other image"  # name of the target that was drawn or uploaded


class ModelWalker(Walker):
    """Walk by hand from an input of a model, with one algorithm, or with all of them in a race.

    Args:
        start: the input.
        settings: of the walks; controls set the step length and the tolerance.
        seed: of the random directions.
        inputs: what the page can choose besides the first input, by name.
        models: what the page can choose besides the first model, by name.
    """

    _create_input: Callable[..., ModelInput]  # from what the page sends
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

    @property
    def _commands(self) -> dict[str, Callable[..., None]]:
        commands = (self.show, self.watch, self.read, self.take_away)
        return super()._commands | {command.__name__: command for command in commands}

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
            source: the ``name`` of an input or of a ``model``, or what ``_create_input`` of the walker takes.
        """
        target = OTHER_IMAGE if source.get("as_target") else None
        self._run(lambda: self._begin(self._create_input(**source), target), "cannot start there: ")

    def _choose_source(self, name: str | None, model: str | None) -> tuple[Any, Any]:
        """Return the model and the raw input of these names; the present ones where there is no name."""
        for given, menu in ((name, self._inputs), (model, self._models)):
            if given is not None and given not in menu:
                raise ValueError(f"{given!r}: wanted one of {', '.join(menu)}")
        start = self.walk.input
        adapter = start.adapter if model is None else self._models[model]
        return adapter, start.raw if name is None else self._inputs[name]

    def _begin(self, start: ModelInput, target: str | None = None) -> None:
        """Start from an input, towards a target of it, with the present choices, but all parts may move."""
        choices = asdict(self.walk.choices) | {"parts": (), "target": target}
        walk = WalkSession(start, self.settings, self._seed, **choices)
        is_race = self.session is not self.walk
        race = Race(start, self.settings, self._seed, **choices) if is_race else None
        self.walk, self._race = walk, race
        self.session = race or walk

    def take_away(self, kind: str) -> None:
        """Send the page a file: a "csv", a "gif", an "mp4", the "path" itself, or the "code" that repeats the walk."""
        self._run(lambda: self.send({"file": self._write_file(kind)}), "cannot write it: ")

    def _write_file(self, kind: str) -> dict[str, str]:
        writers: dict[str, tuple[str, Callable[[WalkSession], bytes]]] = {
            "path": ("walk.safetensors", _write_path),
            "gif": ("walk.gif", write_gif),
            "mp4": ("walk.mp4", write_mp4),
            "csv": ("walk.csv", lambda walk: tabulate_frames(walk).to_csv(index=False).encode()),
            "code": ("walk.py", lambda walk: write_code(walk).encode()),
        }
        name, write = writers[kind]
        return {"name": name, "content": base64.b64encode(write(self.walk)).decode()}


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

    def _create_input(
        self,
        name: str | None = None,
        model: str | None = None,
        pixels: str | None = None,
        as_target: bool = False,
    ) -> ImageInput:
        """Return an input of the menus, or of pixels of the page: bytes (channels, height, width) in base64."""
        adapter, raw = self._choose_source(name, model)
        start: Any = self.walk.input
        image = raw if pixels is None else self._decode_pixels(pixels)
        if as_target:
            return ImageInput(adapter, start.raw, start.targets | {OTHER_IMAGE: image})
        return ImageInput(adapter, image, start.targets)

    def _decode_pixels(self, pixels: str) -> np.ndarray:
        shape = (self.walk.input.adapter.channels, *self.walk.input.adapter.image_size)
        values = np.frombuffer(base64.b64decode(pixels), np.uint8)
        if values.size != np.prod(shape):
            raise ValueError(f"pixels: {values.size} values, wanted {' x '.join(map(str, shape))}")
        return values.reshape(shape).astype(np.float32) / 255


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

    @property
    def _commands(self) -> dict[str, Callable[..., None]]:
        return super()._commands | {"find_words": self.find_words, "replace_word": self.replace_word}

    def _create_input(
        self, name: str | None = None, model: str | None = None, text: Text | None = None, outputs: str | None = None
    ) -> SentenceInput:
        """Return an input of the menus, or a text of the page; outputs are the classes to tell apart, with commas."""
        adapter, raw = self._choose_source(name, model)
        words = None if outputs is None else [word.strip() for word in outputs.split(",") if word.strip()]
        return SentenceInput(
            adapter, raw if text is None else text, self.walk.input.outputs if words is None else words
        )

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
        self._run(lambda: self._begin(self._create_input(text=self.effects.replace_word(part, word))))
