"""What a model's head computes, and so what a walk holds: probabilities of classes, of labels, or plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import PretrainedConfig

from helpers.geometry import Euclidean, FisherRao, OutputMetric, check_log_probabilities


@dataclass(frozen=True)
class Head:
    """How the outputs of a map are computed from a model's logits.

    Attributes:
        held: what the outputs are, as the representation of a map shows it.
        to_outputs: from logits (k,) to outputs (k,).
        is_distribution: True if the outputs are the log-probabilities of one distribution, so that some of them can
            be summed into "the rest".
        is_logarithmic: True if the exponentials of the outputs are probabilities.
    """

    held: str
    to_outputs: Callable[[Float[Tensor, " k"]], Float[Tensor, " k"]]
    is_distribution: bool = False
    is_logarithmic: bool = True

    @property
    def unit(self) -> str:
        """Unit of the outputs, for the axes of figures."""
        return "nats" if self.is_logarithmic else "units of the outputs"

    def probabilities(self, outputs: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
        """Return the probabilities, or the values themselves where the head computes no probabilities.

        Raises:
            ValueError: the outputs should be the log-probabilities of one distribution, and are not.
        """
        if self.is_distribution:
            check_log_probabilities(outputs)
        return outputs.exp() if self.is_logarithmic else outputs

    @property
    def quantity(self) -> str:
        """What ``probabilities`` returns for each output: a probability or a value."""
        return "probability" if self.is_logarithmic else "value"

    def most_probable(self, outputs: Float[Tensor, "*batch k"]) -> Int[Tensor, "*batch"]:
        """Return the index of the most probable class or label.

        Raises:
            ValueError: as in ``probabilities``, or the head computes no probabilities.
        """
        if not self.is_logarithmic:
            raise ValueError(f"outputs: hold {self.held}; this needs probabilities of classes or of labels")
        return self.probabilities(outputs).argmax(-1)

    def variation(self, outputs: Float[Tensor, "*batch k"], reference: Float[Tensor, " k"]) -> Float[Tensor, "*batch"]:
        """Return the total variation of one distribution, else the largest change of any probability or value."""
        changes = (self.probabilities(outputs) - self.probabilities(reference)).abs()
        return changes.sum(-1) / 2 if self.is_distribution else changes.amax(-1)

    @property
    def output_metric(self) -> OutputMetric:
        """The Fisher-Rao metric where the outputs are one distribution, else the Euclidean metric."""
        return FisherRao() if self.is_distribution else Euclidean()


CLASSES = Head("log-probabilities of the classes", lambda logits: logits.log_softmax(-1), is_distribution=True)
WORDS = Head("log-probabilities of the words", lambda logits: logits.log_softmax(-1), is_distribution=True)
LABELS = Head("log-probabilities of labels that may hold together", logsigmoid)
LOGITS = Head("logits", lambda logits: logits.clone(), is_logarithmic=False)
VALUES = Head("values of a regression", lambda logits: logits.clone(), is_logarithmic=False)


def classification_head(config: PretrainedConfig) -> Head:
    """Choose how a classifier's logits are read, by the rules of the library's own loss."""
    if config.problem_type == "multi_label_classification":
        return LABELS
    if config.problem_type == "regression" or config.num_labels == 1:
        return VALUES
    return CLASSES
