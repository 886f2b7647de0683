"""Walked embeddings read back as texts, and what the model says of those texts.

Source: arXiv 2410.06019, Algorithm 3, for text; reading by the nearest embedding is ours.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.adapters import BertAdapter, PartsMap
from helpers.equivalence import ExplorationPath
from helpers.sentences.substitutions import run_texts, total_variation


@dataclass(frozen=True, repr=False)
class Reading:
    """A walk over a text, read back at some of its points.

    Attributes:
        method: how it was read.
        tokens: at each point read, all of the text's tokens, those that may not move as they were.
        unwalked: the text's own tokens.
        recovered: share of the tokens that may move which are read back right from the unwalked text; a decoder that
            misses some of them makes changes up.
        travelled: Euclidean travel to each point read, (R,).
        from_embedding: log-probabilities at the walked points, (R, k).
        from_text: log-probabilities of the texts that were read, run afresh, (R, k).
    """

    method: str
    tokens: list[list[str]]
    unwalked: list[str]
    recovered: float
    travelled: Tensor
    from_embedding: Tensor
    from_text: Tensor

    @property
    def gaps(self) -> Tensor:
        """Wasserstein-1 distance between both predictions, all classes one apart: total variation, (R,)."""
        return torch.stack([total_variation(a, b) for a, b in zip(self.from_embedding, self.from_text, strict=True)])

    @property
    def changed(self) -> list[int]:
        """Number of tokens that differ from the unwalked text at each point read."""
        return [sum(a != b for a, b in zip(each, self.unwalked, strict=True)) for each in self.tokens]

    @property
    def _first_verdict(self) -> tuple[Tensor, Tensor]:
        """Probabilities of the verdict at the first point, by embedding and by text, (R,) each."""
        verdict = int(self.from_embedding[0].argmax())
        return self.from_embedding[:, verdict].exp(), self.from_text[:, verdict].exp()

    def __repr__(self) -> str:
        return f"Reading(by {self.method}, {len(self.tokens)} points, {self.recovered:.0%} of unwalked tokens right)"

    def _repr_html_(self) -> str:
        """Show one row a point: probabilities of the first point's verdict, and the tokens, changed ones in bold."""
        rows = "".join(
            f"<tr><td>{float(t):.3g}</td><td>{float(e):.3f}</td><td>{float(s):.3f}</td><td>{float(gap):.2g}</td>"
            f"<td style='text-align:left'>{_marked(tokens, self.unwalked)}</td></tr>"
            for t, e, s, gap, tokens in zip(self.travelled, *self._first_verdict, self.gaps, self.tokens, strict=True)
        )
        heads = "".join(f"<th>{name}</th>" for name in ("travel", "p, embedding", "p, text", "gap", "text"))
        said = f"read by {html.escape(self.method)}; {self.recovered:.0%} of the unwalked tokens come back right"
        return f"<p>{said}</p><table><tr>{heads}</tr>{rows}</table>"


def _marked(tokens: list[str], unwalked: list[str]) -> str:
    shown = [
        html.escape(new) if new == old else f"<b>{html.escape(new)}</b>"
        for new, old in zip(tokens, unwalked, strict=True)
    ]
    return " ".join(shown[1:-1])


def read_by_cosine(adapter: BertAdapter, text: str, f: PartsMap, path: ExplorationPath, count: int = 6) -> Reading:
    """Read a walk back by the nearest embedding at each position.

    Args:
        adapter: the model.
        text: where the walk began.
        f: the map that was walked on.
        path: the walk.
        count: points to read, evenly spaced along the way.
    """
    return _read(adapter, text, f, path, count, "the nearest embedding", adapter.nearest_ids)


def read_by_head(
    adapter: BertAdapter, text: str, f: PartsMap, path: ExplorationPath, decoder: BertAdapter, count: int = 6
) -> Reading:
    """Read a walk back as the paper does: through a masked-word model of the same embeddings, most probable words.

    Args:
        adapter: the model that was walked on.
        text: where the walk began.
        f: the map that was walked on.
        path: the walk.
        decoder: the masked-word model.
        count: points to read, evenly spaced along the way.

    Raises:
        ValueError: the decoder has no masked-word head or other embeddings.
    """
    check_decoder(adapter, decoder)
    return _read(adapter, text, f, path, count, f"the head of {decoder.name}", decoder.likely_ids)


def check_decoder(adapter: BertAdapter, decoder: BertAdapter) -> None:
    """Raise a ValueError unless a masked-word model reads another model's embeddings as its own."""
    if not decoder.masked:
        raise ValueError(f"decoder={decoder.name!r}: has no masked-word head")
    ids = list(range(0, len(decoder.tokenizer), 7))[: decoder.longest]
    same_size = (len(adapter.tokenizer), adapter.d_model) == (len(decoder.tokenizer), decoder.d_model)
    if not same_size or not torch.allclose(adapter.embed(ids), decoder.embed(ids), atol=0.05):
        raise ValueError(f"decoder={decoder.name!r}: its embeddings are not those of {adapter.name!r}")


def _read(adapter, text, f, path, count, method, read) -> Reading:
    """Read a walk back with a function from points (tokens, d_model) to token ids."""
    ids, moving = adapter.token_ids(text), list(f.parts)
    own_point = adapter.embed(ids)
    if own_point.shape != f.point.shape or not torch.allclose(own_point, f.point, atol=1e-3):
        raise ValueError(f"text={text!r}: is not the text whose map was walked on")
    if path.points.shape[1:] != f.start.shape:
        raise ValueError(
            f"path: has points of shape {tuple(path.points.shape[1:])}, the map takes {tuple(f.start.shape)}"
        )
    where = path.evenly(min(count, len(path) + 1))
    texts = torch.tensor(ids).repeat(len(where), 1)
    for row, index in enumerate(where):
        texts[row, moving] = torch.tensor(read(f.complete(path.points[index])))[moving]
    own = torch.tensor(read(f.point))[moving]
    travelled = torch.cat([torch.zeros(1, dtype=torch.float64), path.step_sizes.cumsum(0)])
    names = adapter.tokenizer.convert_ids_to_tokens
    return Reading(
        method=method,
        tokens=[names(row) for row in texts.tolist()],
        unwalked=names(ids),
        recovered=float((own == torch.tensor(ids)[moving]).double().mean()),
        travelled=travelled[where],
        from_embedding=path.outputs[where].cpu(),
        from_text=run_texts(adapter, f, texts),
    )
