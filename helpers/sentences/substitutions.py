"""The vocabulary under the pullback metric: what swapping in each word does to a model's output, from one Jacobian.

At a token's position, putting in word w moves the point by E[w] - E[token]; its image under the Jacobian predicts the
change of every output, for the whole vocabulary in one product. Predictions are first-order and a word is a long
step, so the best are run through the model.

Source: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import normalize

from helpers.adapters import PartsMap, TextAdapter
from helpers.geometry import FisherRao, widen
from helpers.geometry.differentiation import jacobian
from helpers.resources.content_filter import is_offensive

NEAR = 200  # words whose embeddings are nearest, over which predictions are judged
TOLERANCE = 0.02  # total variation up to which a word counts as equivalent
BATCH = 128  # sentences run at once


@dataclass(frozen=True, repr=False)
class Swaps:
    """What swapping in every word would do at every position of a text, to first order.

    Attributes:
        adapter: the model.
        f: its map at the text, over the positions that may change.
        ids: the text's tokens, special ones included.
        words: ids of the words that may be put in, (W,).
        changes: predicted changes of the outputs, (P, W, k), a row a position of ``f.parts``.
        outputs: at the text, (k,).
    """

    adapter: TextAdapter
    f: PartsMap
    ids: list[int]
    words: Tensor
    changes: Tensor
    outputs: Tensor

    @property
    def norms(self) -> Tensor:
        """Pullback length of each swap under the Fisher-Rao metric, (P, W)."""
        flat = self.changes.flatten(0, 1).T
        return FisherRao().weigh(self.outputs, flat).norm(dim=0).reshape(self.changes.shape[:2])

    @property
    def predicted(self) -> Tensor:
        """Predicted total variation of the model's verdict for each swap, (P, W)."""
        return total_variation((self.outputs + self.changes).log_softmax(-1), self.outputs)

    def token(self, position: int) -> str:
        """Name the token that stands at a position now."""
        return self.adapter.names_of([self.ids[position]])[0]

    def name(self, word: int) -> str:
        """Name the word of an index into ``words``."""
        return self.adapter.names_of([int(self.words[word])])[0]

    def similarity(self, row: int) -> Tensor:
        """Cosine of every word's embedding with that of the token at ``f.parts[row]``, (W,)."""
        position = self.f.parts[row]
        table = normalize(self.adapter.vocabulary_at(position), dim=-1)
        return (table @ table[self.ids[position]]).cpu()[self.words]

    def nearest(self, row: int, count: int = NEAR) -> Tensor:
        """Indices into ``words`` of those nearest by cosine to the token at ``f.parts[row]``, nearest first."""
        others = self.similarity(row).masked_fill(self.words == self.ids[self.f.parts[row]], -torch.inf)
        return others.argsort(descending=True)[:count]

    def verify(self, row: int, words: Tensor) -> Tensor:
        """Run the model with each of these words at ``f.parts[row]``: outputs (count, k)."""
        position = self.f.parts[row]
        texts = torch.tensor(self.ids).repeat(len(words), 1)
        texts[:, position] = self.words[words]
        return run_texts(self.adapter, self.f, texts)

    def __repr__(self) -> str:
        return f"Swaps({len(self.f.parts)} positions, {len(self.words):,} words each)"


@torch.no_grad()
def run_texts(adapter: TextAdapter, f: PartsMap, texts: Tensor) -> Tensor:
    """Run texts (N, tokens) that differ from a map's own only where it may move: outputs (N, k)."""
    found = []
    for batch in texts.split(BATCH):
        found.append(torch.func.vmap(f)(adapter.embed(batch)[:, list(f.parts)]))
    return torch.cat(found).cpu()


def total_variation(outputs: Tensor, reference: Tensor) -> Tensor:
    """Half the summed change of probabilities between log-probabilities (..., k) and (k,)."""
    return (outputs.exp() - reference.exp()).abs().sum(-1) / 2


def predict_swaps(adapter: TextAdapter, text: str, target: int | Sequence[int | str] | None = None) -> Swaps:
    """Predict what every word of the vocabulary would do at every position of a text.

    Positions are the whole words of the text; words are whole words of letters that are not offensive.

    Args:
        adapter: the model.
        text: to change.
        target: as ``adapter.output_map`` takes it.

    Raises:
        ValueError: a text that the model cannot take, or without a whole word in it.
    """
    point = adapter.encode(text)
    ids, known = adapter.token_ids(text), adapter.whole_words()
    ends = [i + 1 == len(ids) or not adapter.continues(ids[i + 1]) for i in range(len(ids))]
    whole = [i for i in adapter.movable(point) if ids[i] in known and ends[i]]
    if not whole:
        raise ValueError(f"text={text!r}: has no word that the model knows whole")
    f = adapter.output_map(point, whole, target)
    outputs, rows = jacobian(f, f.start)
    words = torch.tensor([i for i, word in known.items() if not is_offensive(word)])
    changes = [(adapter.vocabulary_at(i)[words] - point[i]) @ rows[:, row].T for row, i in enumerate(f.parts)]
    return Swaps(adapter, f, ids, words, torch.stack(changes).cpu(), outputs.cpu())


def equivalent_words(swaps: Swaps, tolerance: float = TOLERANCE, tried: int = 60) -> pd.DataFrame:
    """List words that the model holds equivalent where they would stand, each verified.

    Among the nearest words by embedding at each position, those with the smallest predicted change are run through
    the model; those within the tolerance are listed, the nearest first.

    Args:
        swaps: from ``predict_swaps``.
        tolerance: largest total variation of the model's verdict.
        tried: words run through the model at each position.
    """
    found = []
    for row in range(len(swaps.f.parts)):
        near = swaps.nearest(row)
        quiet = swaps.norms[row, near].argsort()[:tried].sort().values
        found.append(_table(swaps, row, near[quiet]))
    table = pd.concat(found, ignore_index=True)
    return table[table["verified"] <= tolerance].reset_index(drop=True)


def mind_changers(swaps: Swaps, tried: int = 20) -> pd.DataFrame:
    """List the words that change the model's mind most, each verified, the largest verified change first."""
    found = [_table(swaps, row, swaps.norms[row].argsort(descending=True)[:tried]) for row in range(len(swaps.f.parts))]
    return pd.concat(found).sort_values("verified", ascending=False, ignore_index=True)


def _table(swaps: Swaps, row: int, words: Tensor) -> pd.DataFrame:
    """Tabulate some words at a position: predicted beside verified total variation, and the verdict."""
    outputs, position = swaps.verify(row, words), swaps.f.parts[row]
    return pd.DataFrame(
        {
            "position": position,
            "token": swaps.token(position),
            "word": [swaps.name(int(word)) for word in words],
            "similarity": swaps.similarity(row)[words].tolist(),
            "predicted": swaps.predicted[row, words].tolist(),
            "verified": total_variation(outputs, swaps.outputs).tolist(),
            "verdict": [swaps.f.names[i] for i in outputs.argmax(1)],
        }
    )


def prediction_quality(swaps: Swaps, count: int = NEAR) -> pd.DataFrame:
    """Compare predicted with verified changes over the nearest words at each position.

    The change is that of the first verdict's log-odds, with its sign; ``spearman`` is their rank correlation.
    """
    verdict, found = int(swaps.outputs.argmax()), []
    p = widen(swaps.outputs[verdict]).exp()
    for row, position in enumerate(swaps.f.parts):
        words = swaps.nearest(row, count)
        predicted = widen(swaps.changes[row, words, verdict]) / (1 - p)
        verified = _log_odds(swaps.verify(row, words)[:, verdict]) - _log_odds(swaps.outputs[verdict])
        agreement = spearmanr(predicted.numpy(), verified.numpy()).statistic
        found.append({"position": position, "token": swaps.token(position), "spearman": agreement})
    return pd.DataFrame(found)


def _log_odds(log_probability: Tensor) -> Tensor:
    value = widen(log_probability)
    return value - torch.log1p(-value.exp())


def equivalent_sentences(
    swaps: Swaps, most_swaps: int = 3, beam: int = 8, tolerance: float = TOLERANCE
) -> pd.DataFrame:
    """Reword a whole text by a beam over positions; every sentence listed was run through the model.

    Args:
        swaps: from ``predict_swaps``.
        most_swaps: words that may differ.
        beam: sentences kept after each swap, those with the most similar words first.
        tolerance: largest total variation of the model's verdict.

    Returns:
        One row a sentence: swaps, verified total variation, the text with its new words in capitals.
    """
    words = equivalent_words(swaps, tolerance).groupby("position").head(beam)
    id_of = {word: i for i, word in swaps.adapter.whole_words().items()}
    pool = [(r.position, id_of[r.word], r.similarity) for r in words.itertuples()]
    kept, found = {tuple(swaps.ids): 0.0}, []
    for made in range(1, most_swaps + 1):
        longer = {
            (*text[:position], word, *text[position + 1 :]): score + similarity
            for text, score in kept.items()
            for position, word, similarity in pool
            if text[position] == swaps.ids[position]
        }
        if not longer:
            break
        texts = sorted(longer, key=longer.get, reverse=True)[: 4 * beam]
        changes = total_variation(run_texts(swaps.adapter, swaps.f, torch.tensor(texts)), swaps.outputs)
        held = [(text, change) for text, change in zip(texts, changes.tolist(), strict=True) if change <= tolerance]
        kept = {text: longer[text] for text, _ in held[:beam]}
        found += [{"swaps": made, "verified": c, "sentence": _shown(swaps, t)} for t, c in held[:beam]]
    return pd.DataFrame(found, columns=["swaps", "verified", "sentence"])


def _shown(swaps: Swaps, text: tuple[int, ...]) -> str:
    """Write a reworded text with its new words in capitals."""
    tokens = swaps.adapter.tokenizer.convert_ids_to_tokens(text)
    marked = [new.upper() if text[i] != swaps.ids[i] else new for i, new in enumerate(tokens)]
    return swaps.adapter.tokenizer.convert_tokens_to_string(marked[swaps.adapter.inner])
