"""Decode walked embeddings as texts, and compare the model's predictions for both.

Source: arXiv 2410.06019, Algorithm 3, for text; decoding by the nearest embedding is ours.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.adapters import EncoderAdapter, Head, PartsMap, TextAdapter
from helpers.adapters.families import MASKED_WORD
from helpers.adapters.text import SAME_EMBEDDING
from helpers.equivalence import ExplorationPath
from helpers.geometry.arguments import check_whole
from helpers.sentences.substitutions import run_texts

EMBEDDING_TOLERANCE = 0.05  # largest difference per coordinate; a norm layer gives coordinates of size about 1


@dataclass(frozen=True, repr=False)
class DecodedWalk:
    """A walk over a text, decoded as texts at some of its points.

    Attributes:
        method: how it was decoded.
        texts: the decoded texts.
        tokens: all tokens of each decoded text; tokens that may not move are those of the original text.
        original_tokens: the tokens of the text where the map was taken.
        text_tokens: the slice of a text's own tokens among all.
        recovery_rate: share of the tokens that may move which are decoded correctly from the original text's own
            point. A decoder that misses some of them also shows changes that the walk did not make.
        travel: Euclidean travel up to each decoded point.
        walk_outputs: outputs of the map at the walked points.
        text_outputs: outputs for the decoded texts, each run through the model.
        head: what the outputs are.
    """

    method: str
    texts: list[str]
    tokens: list[list[str]]
    original_tokens: list[str]
    text_tokens: slice
    recovery_rate: float
    travel: Float[Tensor, " R"]
    walk_outputs: Float[Tensor, "R k"]
    text_outputs: Float[Tensor, "R k"]
    head: Head

    @property
    def gaps(self) -> Float[Tensor, " R"]:
        """Difference of both predictions at each point: see ``Head.variation``.

        Total variation is the Wasserstein-1 distance if all classes are at distance one.
        """
        pairs = zip(self.walk_outputs, self.text_outputs, strict=True)
        return torch.stack([self.head.variation(walk, text) for walk, text in pairs])

    @property
    def change_counts(self) -> list[int]:
        """Number of tokens of each decoded text that differ from the original text."""
        return [sum(a != b for a, b in zip(text, self.original_tokens, strict=True)) for text in self.tokens]

    def __repr__(self) -> str:
        recovered = f"{self.recovery_rate:.0%} of the original tokens recovered"
        texts = f"first {self.texts[0]!r}, last {self.texts[-1]!r}"
        return f"DecodedWalk(by {self.method}, {len(self.texts)} points, {recovered}; {texts})"

    def _repr_html_(self) -> str:
        """Show one row per point: the output that is largest at first, and the tokens, changed ones in bold."""
        first = int(self.walk_outputs[0].argmax())
        walk, text = (self.head.probabilities(outputs)[:, first] for outputs in (self.walk_outputs, self.text_outputs))
        rows = "".join(
            f"<tr><td>{self.travel[i]:.3g}</td><td>{walk[i]:.3f}</td><td>{text[i]:.3f}</td><td>{self.gaps[i]:.2g}</td>"
            f"<td style='text-align:left'>{self._mark_changes(tokens)}</td></tr>"
            for i, tokens in enumerate(self.tokens)
        )
        symbol = "p" if self.head.is_logarithmic else "value"
        names = ("travel", f"{symbol}, embedding", f"{symbol}, text", "gap", "text")
        header = "".join(f"<th>{name}</th>" for name in names)
        note = f"decoded by {html.escape(self.method)}; {self.recovery_rate:.0%} of the original tokens recovered"
        return f"<p>{note}</p><table><tr>{header}</tr>{rows}</table>"

    def _mark_changes(self, tokens: list[str]) -> str:
        """Write a text's own tokens as HTML, changed tokens in bold."""
        pairs = list(zip(tokens, self.original_tokens, strict=True))[self.text_tokens]
        return " ".join(html.escape(new) if new == old else f"<b>{html.escape(new)}</b>" for new, old in pairs)


def decode_by_embedding(adapter: TextAdapter, f: PartsMap, path: ExplorationPath, count: int = 6) -> DecodedWalk:
    """Decode a walk by the nearest embedding at each position.

    The walk was made on the map f, which was taken at the point of a text. The ``count`` points that are decoded are
    evenly spaced along the walk.

    Raises:
        ValueError: the map was not taken at the point of a text, or the walk was made on another map.
    """
    return _decode(adapter, f, path, count, "the nearest embedding", adapter.nearest_ids)


def decode_by_head(
    adapter: TextAdapter, f: PartsMap, path: ExplorationPath, decoder: EncoderAdapter, count: int = 6
) -> DecodedWalk:
    """Decode a walk as the paper does: by the most probable words of a masked-word model of the same embeddings.

    The other arguments are those of ``decode_by_embedding``.

    Raises:
        ValueError: as in ``decode_by_embedding``; the decoder has no masked-word head or other embeddings.
    """
    if decoder.task != MASKED_WORD:
        raise ValueError(f"decoder={decoder.name!r}: has no masked-word head")
    ids = list(range(0, len(decoder.tokenizer), 7))[: decoder.max_tokens]  # a sample from the whole vocabulary
    same_size = (len(adapter.tokenizer), adapter.d_model) == (len(decoder.tokenizer), decoder.d_model)
    if not same_size or not torch.allclose(adapter.embed(ids), decoder.embed(ids), atol=EMBEDDING_TOLERANCE):
        raise ValueError(f"decoder={decoder.name!r}: its embeddings are not those of {adapter.name!r}")
    return _decode(adapter, f, path, count, f"the head of {decoder.name}", decoder.likely_ids)


def _decode(
    adapter: TextAdapter,
    f: PartsMap,
    path: ExplorationPath,
    count: int,
    method: str,
    decode_ids: Callable[[Tensor], list[int]],
) -> DecodedWalk:
    """Decode a walk with a function from points (tokens, d_model) to token ids."""
    check_whole("count", count, least=1)
    shape, wanted = tuple(path.points.shape[1:]), tuple(f.start.shape)
    if shape != wanted:
        raise ValueError(f"path: has points of shape {shape}, the map takes {wanted}")
    same_start = torch.allclose(path.points[0].to(f.start), f.start, atol=SAME_EMBEDDING)
    if not same_start or path.outputs.shape[1] != len(f.names):
        raise ValueError("path: was walked on another map; give the map on which the walk was made")
    ids, positions = adapter.ids_of(f.point), list(f.parts)
    steps = path.evenly(min(count, len(path) + 1))
    texts = torch.tensor(ids).repeat(len(steps), 1)
    for row, step in enumerate(steps):
        texts[row, positions] = torch.tensor(decode_ids(f.complete(path.points[step].to(f.start))))[positions]
    is_recovered = torch.tensor(decode_ids(f.point))[positions] == torch.tensor(ids)[positions]
    travel = torch.cat([torch.zeros(1, dtype=torch.float64), path.step_sizes.cumsum(0)])
    return DecodedWalk(
        method=method,
        texts=[adapter.tokenizer.decode(row[adapter.text_tokens]) for row in texts.tolist()],
        tokens=[adapter.names_of(row) for row in texts.tolist()],
        original_tokens=adapter.names_of(ids),
        text_tokens=adapter.text_tokens,
        recovery_rate=float(is_recovered.double().mean()),
        travel=travel[steps],
        walk_outputs=path.outputs[steps].cpu(),
        text_outputs=run_texts(adapter, f, texts),
        head=f.head,
    )
