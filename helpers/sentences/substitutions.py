"""The vocabulary under the pullback metric: the effect of substituting each word, from one Jacobian.

Substituting word w for the token at a position moves the point by E[w] - E[token], where E holds the embeddings at that
position. The image of this move under the Jacobian predicts the change of every output, for the whole vocabulary in one
matrix product. Predictions hold to first order and a word is a long step, so the best ones are verified. Source: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import normalize

from helpers.adapters import PartsMap, TextAdapter
from helpers.adapters.base import check_indices, find_name
from helpers.adapters.text import Text
from helpers.geometry import jacobian
from helpers.geometry.arguments import check_number, check_whole
from helpers.resources import is_offensive

NEAREST = 200  # number of words, by cosine of their embeddings, among which substitutions are looked for
TOLERANCE = 0.02  # variation of the outputs, see Head.variation, up to which a word counts as equivalent
BATCH_TEXTS = 128  # texts that the model runs on at once
BEAM_WIDENING = 4  # candidates verified per sentence of the beam: most longer rewordings leave the tolerance


@dataclass(frozen=True, repr=False)
class Substitutions:
    """The predicted effect of substituting every word at every position of a text, to first order.

    Attributes:
        adapter: the model.
        f: its map at the text; its parts are the positions that may change.
        ids: the token ids of the text, special tokens included.
        words: ids of the words that may be substituted, (W,).
        changes: predicted changes of the outputs, (P, W, k), one row per position of ``f.parts``.
        outputs: outputs at the text itself, (k,).
    """

    adapter: TextAdapter
    f: PartsMap
    ids: list[int]
    words: Int[Tensor, " W"]
    changes: Float[Tensor, "P W k"]
    outputs: Float[Tensor, " k"]

    @property
    def norms(self) -> Float[Tensor, "P W"]:
        """Length of each substitution in the pullback metric; see ``Head.output_metric``."""
        columns = self.changes.flatten(0, 1).T
        weighed = self.f.head.output_metric.weigh(self.outputs, columns)
        return weighed.norm(dim=0).reshape(self.changes.shape[:2])

    def token(self, position: int) -> str:
        """Name the token of the text at a position."""
        return self.adapter.item_names[self.ids[position]]

    def name(self, word: int) -> str:
        """Name a word, given as an index into ``words``."""
        return self.adapter.item_names[int(self.words[word])]

    def similarity(self, row: int) -> Float[Tensor, " W"]:
        """Return the cosine of every word's embedding with that of the token at ``f.parts[row]``."""
        position = self.f.parts[row]
        segment = self.adapter.segments_of(self.f.point)[position]
        embeddings = normalize(self.adapter.vocabulary_at(position, segment), dim=-1)
        return (embeddings @ embeddings[self.ids[position]]).cpu()[self.words]

    def nearest(self, row: int, count: int = NEAREST) -> Int[Tensor, " count"]:
        """Return the words nearest by cosine to the token at ``f.parts[row]``, as indices into ``words``."""
        check_whole("row", row, most=len(self.f.parts) - 1)
        check_whole("count", count, least=1)
        others = self.similarity(row).masked_fill(self.words == self.ids[self.f.parts[row]], -torch.inf)
        return others.argsort(descending=True)[:count]

    def predict(self, row: int, words: Int[Tensor, " count"]) -> Float[Tensor, "count k"]:
        """Predict the outputs with each of these words at ``f.parts[row]``, to first order.

        Probabilities above one are cut off, and those of one distribution are normalised.
        """
        outputs = self.outputs + self.changes[row, words]
        if self.f.head.is_distribution:
            return outputs.log_softmax(-1)
        return outputs.clamp(max=0) if self.f.head.is_logarithmic else outputs

    def verify(self, row: int, words: Int[Tensor, " count"]) -> Float[Tensor, "count k"]:
        """Run the model with each of these words, indices into ``words``, at ``f.parts[row]``."""
        check_whole("row", row, most=len(self.f.parts) - 1)
        check_indices("words", words.tolist(), len(self.words), distinct=False)
        texts = torch.tensor(self.ids).repeat(len(words), 1)
        texts[:, self.f.parts[row]] = self.words[words]
        return run_texts(self.adapter, self.f, texts)

    def __repr__(self) -> str:
        return f"Substitutions({len(self.f.parts)} positions, {len(self.words):,} words each)"


def embed_word(adapter: TextAdapter, word: str, position: int, segment: int = 0) -> Float[Tensor, "1 d_model"]:
    """Return the embedding of a word at a position, in the first or second text of a pair, as a point of one part.

    Raises:
        ValueError: the word is not one token of the model, or the model has no such position.
    """
    index = find_name("word", word, adapter.item_names, "tokens")
    return adapter.vocabulary_at(position, segment)[[index]]


@torch.no_grad()
def run_texts(adapter: TextAdapter, f: PartsMap, texts: Int[Tensor, "N tokens"]) -> Float[Tensor, "N k"]:
    """Run the model on token ids that differ from the text of a map only at the positions that may move."""
    segments = adapter.segments_of(f.point)
    points = (adapter.embed(batch, segments)[:, list(f.parts)] for batch in texts.split(BATCH_TEXTS))
    return torch.cat([torch.func.vmap(f)(batch) for batch in points]).cpu()


def predict_substitutions(
    adapter: TextAdapter, text: Text, target: int | Sequence[int | str] | None = None
) -> Substitutions:
    """Predict the effect of every word of the vocabulary at every position of a text or a pair of texts.

    Positions are the text's whole words; the words substituted are whole words of letters that are not offensive. The
    target are the classes to distinguish, as in ``adapter.output_map``.

    Raises:
        ValueError: a text that the model cannot take, or that contains no whole word.
    """
    point, ids, vocabulary = adapter.encode(text), adapter.token_ids(text), adapter.whole_words()
    is_end = [i + 1 == len(ids) or not adapter.continues(ids[i + 1]) for i in range(len(ids))]
    positions = [i for i in adapter.movable_parts(point) if ids[i] in vocabulary and is_end[i]]
    if not positions:
        raise ValueError(f"text={text!r}: has no word that is one token of the model; use more common words")
    f = adapter.output_map(point, positions, target)
    outputs, rows = jacobian(f, f.start)
    words = torch.tensor([i for i, word in vocabulary.items() if not is_offensive(word)])
    segments = adapter.segments_of(point)
    moves = (adapter.vocabulary_at(i, segments[i])[words] - point[i] for i in f.parts)
    changes = [move @ rows[:, row].T for row, move in enumerate(moves)]
    return Substitutions(adapter, f, ids, words, torch.stack(changes).cpu(), outputs.cpu())


def equivalent_words(substitutions: Substitutions, tolerance: float = TOLERANCE, candidates: int = 60) -> pd.DataFrame:
    """List words that hardly change the model's output at their position, all of them verified.

    At each position, the ``candidates`` of the nearest words by embedding with the smallest predicted change are run
    through the model. Those that change the outputs by at most the tolerance are listed, the nearest first. The change
    is that of ``Head.variation``: between classes the total variation, else the largest change of any label's
    probability or of any value.
    """
    check_number("tolerance", tolerance)
    check_whole("candidates", candidates, least=1)
    words = []
    for row, norms in enumerate(substitutions.norms):
        near = substitutions.nearest(row)
        words.append(near[norms[near].argsort()[:candidates].sort().values])
    return _tabulate_words(substitutions, words).query("verified <= @tolerance").reset_index(drop=True)


def influential_words(substitutions: Substitutions, candidates: int = 20) -> pd.DataFrame:
    """List the words that are predicted to change the output most, the largest verified change first.

    At each position, ``candidates`` words are run through the model and listed.
    """
    check_whole("candidates", candidates, least=1)
    largest = substitutions.norms.argsort(dim=1, descending=True)[:, :candidates]
    table = _tabulate_words(substitutions, list(largest))
    return table.sort_values("verified", ascending=False, ignore_index=True)


def _tabulate_words(substitutions: Substitutions, words_per_row: Sequence[Tensor]) -> pd.DataFrame:
    """Tabulate some words at each position: predicted and verified variation, and the model's prediction or values."""
    f, head, before, tables = substitutions.f, substitutions.f.head, substitutions.outputs, []
    for row, words in enumerate(words_per_row):
        verified, position = substitutions.verify(row, words), f.parts[row]
        if head.is_logarithmic:
            shown = {"prediction": [f.names[i] for i in head.most_probable(verified)]}
        else:
            shown = {f"value of {name}": values for name, values in zip(f.names, verified.T.tolist(), strict=True)}
        columns = {
            "position": position,
            "token": substitutions.token(position),
            "word": [substitutions.name(int(word)) for word in words],
            "similarity": substitutions.similarity(row)[words].tolist(),
            "predicted": head.variation(substitutions.predict(row, words), before).tolist(),
            "verified": head.variation(verified, before).tolist(),
        }
        tables.append(pd.DataFrame(columns | shown))
    return pd.concat(tables, ignore_index=True)


def prediction_quality(substitutions: Substitutions, count: int = NEAREST) -> pd.DataFrame:
    """Compare predicted with verified changes over the nearest words at each position.

    The change is that of the largest output at the text, with its sign: the predicted class, the most probable label,
    or the largest value. The column ``spearman`` is the rank correlation of predicted and verified changes, which is
    the same for probabilities, their logarithms and log-odds.
    """
    check_whole("count", count, least=2)
    largest, rows = int(substitutions.outputs.argmax()), []
    for row, position in enumerate(substitutions.f.parts):
        words = substitutions.nearest(row, count)
        predicted = substitutions.changes[row, words, largest]
        verified = substitutions.verify(row, words)[:, largest]
        correlation = spearmanr(predicted.numpy(), verified.numpy()).statistic
        rows.append({"position": position, "token": substitutions.token(position), "spearman": correlation})
    return pd.DataFrame(rows)


def equivalent_sentences(
    substitutions: Substitutions, max_substitutions: int = 3, beam: int = 8, tolerance: float = TOLERANCE
) -> pd.DataFrame:
    """Reword a text by a beam search over positions; every listed sentence was run through the model.

    The change of the outputs, see ``Head.variation``, stays within the tolerance. After each substitution, the ``beam``
    sentences with the most similar words are extended.

    Returns:
        One row per sentence: number of substitutions, verified change, the text with new words in capitals.
    """
    check_whole("max_substitutions", max_substitutions, least=1)
    check_whole("beam", beam, least=1)
    words = equivalent_words(substitutions, tolerance).groupby("position").head(beam)
    id_of = {word: i for i, word in substitutions.adapter.whole_words().items()}
    options = [(row.position, id_of[row.word], row.similarity) for row in words.itertuples()]
    scores, rows = {tuple(substitutions.ids): 0.0}, []
    for count in range(1, max_substitutions + 1):
        longer = {
            (*text[:position], word, *text[position + 1 :]): score + similarity
            for text, score in scores.items()
            for position, word, similarity in options
            if text[position] == substitutions.ids[position]
        }
        if not longer:
            break
        texts = sorted(longer, key=lambda text: longer[text], reverse=True)[: BEAM_WIDENING * beam]
        outputs = run_texts(substitutions.adapter, substitutions.f, torch.tensor(texts))
        variations = substitutions.f.head.variation(outputs, substitutions.outputs).tolist()
        accepted = [(text, size) for text, size in zip(texts, variations, strict=True) if size <= tolerance][:beam]
        scores = {text: longer[text] for text, _ in accepted}
        rows += [(count, size, _write_text(substitutions, text)) for text, size in accepted]
    return pd.DataFrame(rows, columns=["substitutions", "verified", "sentence"])


def _write_text(substitutions: Substitutions, text: tuple[int, ...]) -> str:
    """Write a reworded text with its new words in capitals."""
    adapter = substitutions.adapter
    tokens = adapter.tokenizer.convert_ids_to_tokens(text)
    marked = [token.upper() if text[i] != substitutions.ids[i] else token for i, token in enumerate(tokens)]
    return adapter.tokenizer.convert_tokens_to_string(marked[adapter.text_tokens])
