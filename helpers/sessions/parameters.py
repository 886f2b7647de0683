"""Look through the parameters of a model without any widget: read one, search neurons, survey all of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from helpers.equivalence import create_generator
from helpers.vocabulary import (
    EmbeddingSpace,
    NeuronIndex,
    PairTable,
    ParameterSurvey,
    Reading,
    TokenTable,
    embedding_space,
    survey_coherence,
    survey_p_values,
)
from helpers.vocabulary.neurons import NEURON_KINDS
from helpers.vocabulary.survey import HEAD_KINDS
from helpers.weights import KINDS, FactoredMatrix, Side, Weights
from helpers.weights.layer import pick

WRITTEN_BIASES = ("b_out", "b_O")  # kinds with one vector per layer, which is added to the residual stream
READ_BIASES = {"W_Q": "b_Q", "W_K": "b_K", "W_V": "b_V"}
SIDES: dict[str, tuple[Side, ...]] = {  # kind -> the sides of the residual stream by which it is read
    **{kind: (side,) for kind, side in KINDS.items()},
    "W_OV": ("in", "out"),
    "W_QK": ("in", "in"),
    **dict.fromkeys(WRITTEN_BIASES, ("out",)),
}
NOUNS = {  # kind -> what an index numbers; a subhead for all others
    **dict.fromkeys(NEURON_KINDS, "neuron"),
    **dict.fromkeys(HEAD_KINDS, "head"),
    **dict.fromkeys(WRITTEN_BIASES, "bias"),
}


@dataclass(frozen=True)
class Place:
    """Where a parameter is in a model."""

    kind: str  # one of ``ParameterSession.kinds``
    layer: int
    index: int = 0  # of the neuron, the subhead or the head
    offset: int = 0  # position of the query minus that of the key, for W_QK of rotary heads


@dataclass(frozen=True, eq=False)
class ReadParameter:
    """A parameter, the items of its highest and lowest scores, and the scores of a random one.

    Attributes:
        parameter: a vector, or the matrix of a head.
        highest, lowest: its items; the scores of the lowest are those of the opposite parameter.
        control: the highest scores of a random parameter of the same shape and norm.
        bias: the number that is added to the product with this vector; None where there is none.
    """

    parameter: Tensor | FactoredMatrix
    highest: TokenTable | PairTable
    lowest: TokenTable | PairTable
    control: Float[Tensor, " k"]
    bias: float | None = None


class ParameterSession:
    """Read the parameters of a model, one after the other; what several need is computed once per reading.

    After an edit of the weights, make another session.

    Args:
        weights: the model.
        sibling: another model with the same vocabulary, which judges coherence; None for p-values only.
        seed: of the random controls.
    """

    def __init__(self, weights: Weights, sibling: Weights | None = None, seed: int = 0):
        self.weights, self.sibling, self._seed = weights, sibling, seed
        self.space = cache(lambda reading, side: embedding_space(weights, reading, side))
        self._neurons = cache(lambda kind, reading: NeuronIndex.build(weights, self.space(reading, KINDS[kind]), kind))
        self._control = cache(self._score_control)
        self.survey = cache(self._start_survey)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of parameters that can be read: those whose side of the residual stream has items."""
        w = self.weights
        readable = {side for side, table in {"in": w.embedding, "out": w.unembedding}.items() if table is not None}
        present = {*w.kinds, *HEAD_KINDS, *WRITTEN_BIASES}
        return tuple(kind for kind, sides in SIDES.items() if kind in present and readable.issuperset(sides))

    def count(self, kind: str) -> int:
        """Return how many parameters of a kind each layer has."""
        if kind in HEAD_KINDS:
            return self.weights.n_heads
        return 1 if kind in WRITTEN_BIASES else len(self.weights.vectors(kind, 0))

    def noun(self, kind: str) -> str:
        """Return what an index of this kind numbers: a neuron, a head or a subhead."""
        return NOUNS.get(kind, "subhead")

    def get(self, place: Place) -> Tensor | FactoredMatrix:
        """Return a parameter: a vector (d_model,) or the matrix of a head.

        Raises:
            ValueError: no such layer or index, or an offset of heads that have none.
        """
        w, kind = self.weights, place.kind
        pick("layer", place.layer, range(w.n_layers), w.n_layers)
        count = self.count(kind)
        pick(self.noun(kind), place.index, range(count), count)
        if kind == "W_QK":
            if place.offset < 0:
                raise ValueError(f"offset={place.offset}: must be 0 or more, because a query attends to keys before it")
            return w.W_QK(place.layer, place.index, place.offset)
        if kind == "W_OV":
            return w.W_OV(place.layer, place.index)
        if kind in WRITTEN_BIASES:
            return (w.b_out if kind == "b_out" else w.b_O)(place.layer)
        return w.vectors(kind, place.layer)[place.index].detach()

    def read(self, place: Place, reading: Reading, k: int = 12) -> ReadParameter:
        """Read a parameter and its opposite as k items each, or all, beside a random one of its norm."""
        parameter = self.get(place)
        spaces = self._spaces(place.kind, reading)
        k = k if place.kind in HEAD_KINDS else min(k, len(spaces[0]))
        factors = (parameter.left, parameter.right) if isinstance(parameter, FactoredMatrix) else (parameter,)
        unit_control = self._control(tuple(factor.shape for factor in factors), place.kind, reading, k)
        highest, lowest = (_read(spaces, signed, k) for signed in (parameter, -parameter))
        return ReadParameter(parameter, highest, lowest, unit_control * float(parameter.norm()), self._bias(place))

    def search(self, word: str, kind: str, reading: Reading, k: int = 15) -> pd.DataFrame:
        """List the neurons that promote a word most; beside a key or gate, those whose keys or gates it activates."""
        return self._neurons(self.searched_kind(kind), reading).search(word, k)

    def searched_kind(self, kind: str) -> str:
        """Return the kind of the neurons that a search lists beside a parameter of a kind."""
        return kind if kind in NEURON_KINDS else "W_out" if "W_out" in self.kinds else "W_in"

    def list_similar(self, word: str, kind: str, reading: Reading) -> list[str]:
        """List items that are spelt like a word that a search does not know."""
        return self.space(reading, KINDS[self.searched_kind(kind)]).list_similar(word)

    def measures(self, kind: str) -> tuple[str, ...]:
        """Return what a survey can measure of a kind."""
        if kind in WRITTEN_BIASES:
            return ()
        return ("p-value", "coherence") if self.sibling is not None else ("p-value",)

    def _start_survey(self, kind: str, measure: str, reading: Reading) -> ParameterSurvey:
        if measure == "coherence" and self.sibling is not None:
            return survey_coherence(self.weights, kind, self.sibling, reading, self._seed)
        return survey_p_values(self.weights, kind, reading, self._seed)

    def _bias(self, place: Place) -> float | None:
        """Return the number that is added to the product with a vector."""
        w = self.weights
        if place.kind in NEURON_KINDS and KINDS[place.kind] == "in":
            return float((w.b_in if place.kind == "W_in" else w.b_gate)(place.layer)[place.index])
        if place.kind in READ_BIASES:
            heads = w.n_heads if place.kind == "W_Q" else w.n_kv_heads
            head, column = divmod(place.index, self.count(place.kind) // heads)
            bias = getattr(w, READ_BIASES[place.kind])(place.layer, head * w.n_heads // heads)
            return float(bias[column])
        return None

    def _spaces(self, kind: str, reading: Reading) -> list[EmbeddingSpace]:
        return [self.space(reading, side) for side in SIDES[kind]]

    def _score_control(self, shapes: tuple[torch.Size, ...], kind: str, reading: Reading, k: int) -> Tensor:
        """Score a random vector, or a head with random factors, of norm 1."""
        generator = create_generator(self._seed)
        factors = [torch.randn(shape, generator=generator) for shape in shapes]
        random = factors[0] if len(factors) == 1 else FactoredMatrix(factors[0], factors[1])
        return _read(self._spaces(kind, reading), random, k).scores / float(random.norm())


def _read(spaces: list[EmbeddingSpace], parameter: Tensor | FactoredMatrix, k: int) -> TokenTable | PairTable:
    if isinstance(parameter, FactoredMatrix):
        return spaces[0].top_pairs(parameter, k, spaces[1])
    return spaces[0].top_tokens(parameter, k)
