"""The input of a session: an image or a sentence, the model that reads it, and how its points are shown."""

from __future__ import annotations

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from helpers.adapters import Adapter, ImageAdapter, PartsMap, TextAdapter
from helpers.adapters.base import find_name
from helpers.adapters.text import Text
from helpers.geometry import PullbackMetric
from helpers.resources import is_offensive
from helpers.sessions.session import Frame, round_number

WORD_COUNT = 3  # words named at either end of a direction


class ModelInput(ABC):
    """A raw input of a model and the map at its point.

    Attributes:
        adapter: the model.
        raw: the input itself.
        outputs: the classes to tell apart, as they were given.
        point: its point (parts, d_model).
        f: the map at the point; its parts are those that may move, its names those of the outputs.
        kind: "image" or "sentence".
        part_kind: what the parts are called.
        target_names: what a walk may approach.
    """

    kind = part_kind = ""

    def __init__(self, adapter: Adapter, raw: Any, kind: type, outputs: Sequence[str] | None = None):
        if not isinstance(adapter, kind):
            raise ValueError(f"adapter: is {type(adapter).__name__}, wanted {kind.__name__}")
        self.adapter: Any = adapter
        self.raw, self.outputs = raw, outputs or None
        self.point: Tensor = adapter.encode(raw)
        self.f: PartsMap = adapter.output_map(self.point, target=self.outputs)
        self.target_names: list[str] = []

    def map_at(self, point: Float[Tensor, "parts d_model"], parts: Sequence[int] = ()) -> PartsMap:
        """Return the map at a point with the same outputs as at the input; all parts may move if none is named."""
        return self.adapter.output_map(point, list(parts or self.f.parts), self.f.target)

    def find_class(self, name: str) -> int:
        """Return the index of a class that has no output of its own.

        Raises:
            ValueError: no class of that name, or it has an output.
        """
        index = find_name("name", name, self.adapter.class_names, "classes")
        if self.f.target is None or index in self.f.target:
            raise ValueError(f"name={name!r}: is shown already")
        return index

    def measure_importance(self, point: Float[Tensor, "parts d_model"]) -> list[float]:
        """Return the importance of each part at a point, divided by that of the most important; 0 for fixed parts."""
        f, norms = self.map_at(point), torch.zeros(len(point), dtype=torch.float64)
        norms[list(f.parts)] = PullbackMetric.at(f, f.start, f.head.output_metric).part_norms().cpu()
        return [round(value, 3) for value in (norms / norms.max().clamp(min=1e-30)).tolist()]

    def describe_outputs(self) -> Frame:
        """Describe the outputs for a front end: their names, and how they are read."""
        head = self.f.head
        return {
            "names": list(self.f.names),
            "class_count": len(self.adapter.class_names),
            "unit": head.unit,
            "variation": "total variation" if head.is_distribution else f"largest change of a {head.quantity}",
            "quantity": head.quantity,
            "is_logarithmic": head.is_logarithmic,
            "kind": self.kind,
            "part_kind": self.part_kind,
            "movable": list(self.f.parts),
            "target_names": self.target_names,
            "norm": round_number(float(self.point.norm())),
        }

    @abstractmethod
    def describe(self, point: Float[Tensor, "parts d_model"]) -> Frame:
        """Describe what is seen at a point."""

    @abstractmethod
    def describe_direction(self, direction: Float[Tensor, "parts d_model"]) -> Frame:
        """Describe a unit direction."""

    @abstractmethod
    def find_target(self, name: str, point: Float[Tensor, "parts d_model"], parts: Sequence[int]) -> Tensor:
        """Return the whole point that a walk from a point approaches with some of its parts."""


class ImageInput(ModelInput):
    """An image. A frame holds the decoded ``picture``.

    Args:
        adapter: an ``ImageAdapter``, in embedding space or in pixels.
        raw: the image.
        targets: images that a walk may approach, by name.
    """

    kind, part_kind = "image", "patches"

    def __init__(self, adapter: ImageAdapter, raw: Any, targets: Mapping[str, Any] | None = None):
        super().__init__(adapter, raw, ImageAdapter)
        self.targets = dict(targets or {})
        self.target_names = list(self.targets)

    def describe_outputs(self) -> Frame:
        """Describe the outputs and the grid of patches."""
        rows, columns = self.adapter.grid
        size = {"channels": self.adapter.channels, "image_size": list(self.adapter.image_size)}
        return super().describe_outputs() | {"rows": rows, "columns": columns, **size}

    def describe(self, point: Float[Tensor, "parts d_model"]) -> Frame:
        """Decode a point to a picture, a PNG as a data URL."""
        return {"picture": encode_picture(self.adapter.decode(point))}

    def describe_direction(self, direction: Float[Tensor, "parts d_model"]) -> Frame:
        """Show the change of the image along a direction: red is brighter, blue is darker."""
        change = self.adapter.decode_move(direction)
        change = change.mean(0) if change.ndim == 3 else change
        share = change / (np.abs(change).max() or 1.0)
        red, blue = 1 - share.clip(-1, 0) * -1, 1 - share.clip(0, 1)
        return {"picture": encode_picture(np.stack([red, np.minimum(red, blue), blue]))}

    def find_target(self, name: str, point: Float[Tensor, "parts d_model"], parts: Sequence[int]) -> Tensor:
        """Return a target's point, in the chosen parts."""
        if name not in self.targets:
            raise ValueError(f"target={name!r}: wanted one of {', '.join(self.targets) or 'none; give targets'}")
        goal = point.clone()
        goal[list(parts)] = self.adapter.encode(self.targets[name])[list(parts)]
        return goal


class SentenceInput(ModelInput):
    """A sentence. A frame holds the ``tokens`` nearest to a point, and which of them have ``changed``.

    Args:
        adapter: a ``TextAdapter``.
        raw: the sentence.
        outputs: the classes, or the words of a masked-word model, to tell apart, as the target of ``output_map``.
    """

    kind, part_kind = "sentence", "tokens"

    def __init__(self, adapter: TextAdapter, raw: Text, outputs: Sequence[str] | None = None):
        super().__init__(adapter, raw, TextAdapter, outputs)
        self.tokens = adapter.tokens(raw)

    @cached_property
    def _shown_words(self) -> dict[int, str]:
        """The words of the model that directions may be named by, by their ids."""
        return {i: word for i, word in self.adapter.whole_words().items() if not is_offensive(word)}

    def describe_outputs(self) -> Frame:
        """Describe the outputs, and list the tokens of the sentence itself."""
        text = {"text": self.raw} if isinstance(self.raw, str) else {}
        return super().describe_outputs() | {"tokens": self.tokens} | text

    def describe(self, point: Float[Tensor, "parts d_model"]) -> Frame:
        """Name the token nearest to each row of a point; rows that cannot move keep their name."""
        nearest, tokens = self.adapter.part_names(point), list(self.tokens)
        for part in self.f.parts:
            tokens[part] = nearest[part]
        changed = [i for i, (new, old) in enumerate(zip(tokens, self.tokens, strict=True)) if new != old]
        return {"tokens": tokens, "changed": changed}

    def describe_direction(self, direction: Float[Tensor, "parts d_model"]) -> Frame:
        """Name the token that moves most along a direction, and the words that lie that way from it, either way."""
        place = int(direction.norm(dim=1).argmax())
        segment = self.adapter.segments_of(self.point)[place]
        words = self._shown_words
        ids = torch.tensor(list(words))
        ways = normalize(self.adapter.vocabulary_at(place, segment)[ids] - self.point[place], dim=-1)
        cosines = ways @ normalize(direction[place].to(ways), dim=-1)
        ahead, behind = ([words[int(ids[i])] for i in (s * cosines).topk(WORD_COUNT).indices] for s in (1, -1))
        sizes = direction.norm(dim=1)
        shares = [round(value, 3) for value in (sizes / sizes.max()).tolist()]
        return {"place": place, "token": self.tokens[place], "ahead": ahead, "behind": behind, "shares": shares}

    def find_target(self, name: str, point: Float[Tensor, "parts d_model"], parts: Sequence[int]) -> Tensor:
        """Return the point at which each chosen token is a word, the target's name."""
        words = self.adapter.whole_words()
        word = [*words][find_name("target", name, [*words.values()], "words")]
        segments, goal = self.adapter.segments_of(self.point), point.clone()
        for part in parts:
            goal[part] = self.adapter.vocabulary_at(part, segments[part])[word]
        return goal


def encode_picture(image: np.ndarray) -> str:
    """Return an image (H, W) or (3, H, W) with values in [0, 1] as the data URL of a PNG."""
    pixels = (np.asarray(image) * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels if pixels.ndim == 2 else pixels.transpose(1, 2, 0)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
