"""One number for each parameter of a kind: a map of where a model's readings are likely to say something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.equivalence import create_generator
from helpers.vocabulary.control import LayerControl, draw_random_heads
from helpers.vocabulary.neurons import BAR, TOP, coherence, coherence_bar, pair_coherence
from helpers.vocabulary.reading import Reading
from helpers.vocabulary.space import EmbeddingSpace, embedding_space, embedding_spaces
from helpers.weights import KINDS, FactoredMatrix, Weights

HEAD_KINDS = ("W_OV", "W_QK")  # kinds with one matrix per head, read as pairs
RANDOM_VECTORS = 2_000  # the smallest p-value is then 5e-4, which a colour can tell from 1e-3
RANDOM_HEADS_JUDGED = 100  # at least; each is read exactly, which takes as long as reading a head


@dataclass(eq=False)
class ParameterSurvey:
    """A number for every neuron, subhead or head of a model, computed piece by piece; what is computed stays.

    Attributes:
        measure: computes the numbers of a piece: of a layer's vectors, or of one head.
        values: one row per layer; nan where nothing is computed yet.
        pieces: how many pieces there are.
        bars: per layer the value that one random parameter in twenty passes; nan where nothing is computed yet.
        done: how many pieces are computed.
    """

    measure: Callable[[int], Float[Tensor, " n"]] = field(repr=False)
    values: Float[Tensor, "layers n"] = field(repr=False)
    pieces: int
    bars: Float[Tensor, " layers"] = field(repr=False)
    done: int = 0

    def advance(self) -> None:
        """Compute the next piece; after an error or an interrupt it is computed at the next call."""
        if self.done < self.pieces:
            self.values.view(self.pieces, -1)[self.done] = self.measure(self.done).to(self.values)
            self.done += 1

    def run(self) -> Float[Tensor, "layers n"]:
        """Compute all that is left and return the values."""
        while self.done < self.pieces:
            self.advance()
        return self.values


def survey_p_values(w: Weights, kind: str, reading: Reading | None = None, seed: int = 0) -> ParameterSurvey:
    """Survey how often a random parameter's highest score is at least as high, for each parameter of a kind.

    It is the first p-value of ``LayerControl``, which says what the random parameters are. The kinds are those of
    ``read_parameter``.
    """
    generator, bars = create_generator(seed), torch.full((w.n_layers,), BAR)
    if kind in HEAD_KINDS:
        left, right = embedding_spaces(w, getattr(w, kind)(0, 0), reading)

        def measure_head(piece: int) -> Tensor:
            head = getattr(w, kind)(*divmod(piece, w.n_heads))
            return LayerControl.of_heads(left, [head], generator, 1, right=right).p[:, 0]

        return ParameterSurvey(measure_head, _empty(w.n_layers, w.n_heads), w.n_layers * w.n_heads, bars)
    space = embedding_space(w, reading, KINDS[kind])

    def measure_layer(layer: int) -> Tensor:
        return LayerControl.of_vectors(space, w.vectors(kind, layer), generator, 1, RANDOM_VECTORS).p[:, 0]

    return ParameterSurvey(measure_layer, _empty(w.n_layers, len(w.vectors(kind, 0))), w.n_layers, bars)


def survey_coherence(
    w: Weights, kind: str, sibling: Weights, reading: Reading | None = None, seed: int = 0
) -> ParameterSurvey:
    """Survey how coherent the reading of each parameter of a kind is, judged by another model with the same items.

    It is the ``coherence`` of a vector's ten top items, and for a head the mean ``pair_coherence`` of its ten top
    pairs. The bar of vectors is that of random vectors with the mean and covariance of their layer, and the bar of
    heads, one for all layers, that of the same heads with a random rotation between their factors; it becomes more
    exact with every head that is read.
    """
    spaces = embedding_spaces(w, getattr(w, kind)(0, 0), reading) if kind in HEAD_KINDS else ()
    space = spaces[0] if spaces else embedding_space(w, reading, KINDS[kind])
    judge = embedding_space(sibling, replace(reading or Reading(), clean=True))  # with rows of length 1
    if any(each.names != judge.names for each in (space, *spaces)):
        raise ValueError(f"sibling: {sibling.name} lists other items than {w.name}, wanted a model with the same ones")
    generator, bars = create_generator(seed), _empty(w.n_layers)
    if spaces:
        return _survey_heads(w, kind, spaces, judge.rows, generator)

    def measure_layer(layer: int) -> Tensor:
        vectors = w.vectors(kind, layer).to(space.rows)
        bars[layer] = coherence_bar(vectors, space, judge.rows, generator)
        return coherence(vectors, space, judge.rows)

    return ParameterSurvey(measure_layer, _empty(w.n_layers, len(w.vectors(kind, 0))), w.n_layers, bars)


def _survey_heads(
    w: Weights, kind: str, spaces: tuple[EmbeddingSpace, EmbeddingSpace], judge: Tensor, generator: torch.Generator
) -> ParameterSurvey:
    (left, right), count, random = spaces, w.n_layers * w.n_heads, list[float]()

    def judge_head(head: FactoredMatrix) -> float:
        return float(pair_coherence(left.top_pairs(head, TOP, right), left, judge).mean()) if head.norm() > 0 else 0.0

    def measure_head(piece: int) -> Tensor:
        head = getattr(w, kind)(*divmod(piece, w.n_heads))
        random.extend(map(judge_head, draw_random_heads(head, -(-RANDOM_HEADS_JUDGED // count), generator)))
        survey.bars.fill_(torch.tensor(random).quantile(1 - BAR))
        return torch.tensor([judge_head(head)])

    survey = ParameterSurvey(measure_head, _empty(w.n_layers, w.n_heads), count, _empty(w.n_layers))
    return survey


def _empty(*shape: int) -> Float[Tensor, "layers n"]:
    return torch.full(shape, torch.nan)
