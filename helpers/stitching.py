"""The top layers of a classifier on the lower layers of another model, without any training.

Source: arXiv 2209.02535, section 5.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import binomtest, mannwhitneyu
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import GPT2ForSequenceClassification, GPT2Model
from transformers.masking_utils import create_causal_mask

from helpers.resources import MEAN_POOLING, load_model
from helpers.resources.display import table_html

__all__ = [
    "MeanStateClassifier",
    "StitchedClassifier",
    "StitchingTable",
    "embedding_kernel",
    "hidden_states",
    "last_tokens",
    "load_body",
    "load_classifier",
    "random_kernel",
    "stitch",
    "stitching_table",
]

CONTEXT = 128  # the last tokens of a text that a classifier reads; the bundled models were trained on this length
BATCH = 100  # texts per batch

Tokens = Int[Tensor, "texts tokens"]  # token ids, or their mask: 1 where there is a token
States = Float[Tensor, "texts tokens width"]
Logits = Float[Tensor, "texts labels"]
Kernel = Float[Tensor, "d_b d_a"]  # maps states of model B to states of model A: x @ kernel
Accuracies = Float[Tensor, "*controls keeps transplants"]  # no controls for the kernel of the embeddings


class MeanStateClassifier(torch.nn.Module):
    """A linear classifier on the mean over tokens of a GPT-2's final states, before the final layer norm.

    The model that it is given stays as it is; its parameters are shared, not copied.

    Source: the finetuned classifier of arXiv 2209.02535.
    """

    def __init__(self, model: GPT2ForSequenceClassification):
        super().__init__()
        self.body, self.score = model.transformer, model.score

    def forward(self, ids: Tokens, mask: Tokens) -> Logits:
        """Map token ids and their mask to logits."""
        return self.classify(hidden_states(self.body, ids, mask, len(self.body.h))[-1], mask)

    def classify(self, states: States, mask: Tokens) -> Logits:
        """Map final states to logits; the mean is over the tokens whose mask is 1."""
        weights = mask.unsqueeze(-1).to(states.dtype)
        return self.score((states * weights).sum(1) / weights.sum(1))


class StitchedClassifier(torch.nn.Module):
    """The first layers of a base, a kernel, the last layers of a classifier and its head; parameters are shared."""

    def __init__(self, classifier: MeanStateClassifier, base: GPT2Model, keep: int, transplant: int, kernel: Kernel):
        super().__init__()
        self.classifier, self.base, self.keep, self.transplant = classifier, base, keep, transplant
        self.kernel = torch.nn.Buffer(kernel)

    def forward(self, ids: Tokens, mask: Tokens) -> Logits:
        """Map token ids and their mask to logits."""
        return self.finish(hidden_states(self.base, ids, mask, self.keep)[-1], mask)

    def finish(self, states: States, mask: Tokens) -> Logits:
        """Map the states of the base after the layers that are kept to logits."""
        body = self.classifier.body
        layers = body.h[len(body.h) - self.transplant :]
        return self.classifier.classify(_run_layers(body, layers, states @ self.kernel, mask)[-1], mask)


def hidden_states(body: GPT2Model, ids: Tokens, mask: Tokens, layers: int) -> list[States]:
    """Return the states before the first layer and after each of the first ``layers`` layers.

    Raises:
        ValueError: more tokens than the model has positions.
    """
    if ids.shape[1] > len(body.wpe.weight):
        count = len(body.wpe.weight)
        raise ValueError(f"ids: have {ids.shape[1]} tokens, wanted {count} at most; use last_tokens(..., most={count})")
    positions = torch.arange(ids.shape[1], device=ids.device)
    return _run_layers(body, body.h[:layers], body.drop(body.wte(ids) + body.wpe(positions)), mask)


def _run_layers(body: GPT2Model, layers: Iterable[torch.nn.Module], states: States, mask: Tokens) -> list[States]:
    """Run layers with the causal mask that the body makes itself: the states before the first and after each."""
    causal = create_causal_mask(config=body.config, inputs_embeds=states, attention_mask=mask, past_key_values=None)
    return list(accumulate(layers, lambda inputs, layer: layer(inputs, attention_mask=causal), initial=states))


def load_classifier(name: str | Path, device: str | torch.device = "cpu") -> MeanStateClassifier:
    """Load a classifier that was finetuned without the final layer norm, on the mean of its states.

    Raises:
        ModelNotFoundError: there is no such model, or it has no classifier.
        ValueError: its configuration does not say that it averages states, as ``state_pooling: "mean"``.
    """
    model = load_model(GPT2ForSequenceClassification, name, device)
    if getattr(model.config, "state_pooling", None) != MEAN_POOLING:
        raise ValueError(
            f"name={str(name)!r}: classifies by the state of its last token, wanted a classifier on the mean of its "
            "states ('state_pooling': 'mean' in config.json); helpers.adapters.load_adapter runs this one"
        )
    return MeanStateClassifier(model)


def load_body(name: str | Path, device: str | torch.device = "cpu") -> GPT2Model:
    """Load the embeddings and layers of a GPT-2, without a head.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    return load_model(GPT2Model, name, device)


def last_tokens(tokenizer: Any, texts: Sequence[str], most: int = CONTEXT) -> tuple[Tokens, Tokens]:
    """Tokenise texts and keep the last tokens of each, because a review's judgement is at its end: ids and mask.

    Raises:
        ValueError: a text without tokens.
    """
    tokens = tokenizer(list(texts), verbose=False)["input_ids"]
    empty = [i for i, text in enumerate(tokens) if not text]
    if empty:
        raise ValueError(f"texts: number {empty[0]} has no tokens; leave out empty texts")
    endings = [torch.tensor(text[-most:], dtype=torch.long) for text in tokens]
    ids = pad_sequence(endings, batch_first=True)  # any id does, because the mask is 0 there
    return ids, pad_sequence([torch.ones_like(ending) for ending in endings], batch_first=True)


def embedding_kernel(
    classifier: MeanStateClassifier, base: GPT2Model, shuffle: torch.Generator | None = None
) -> Kernel:
    """Return E_B E_A^+, the least-squares map from the base's embeddings (model B) to the classifier's (model A).

    With a generator, the base's words are permuted, for a control: both models' embeddings, but no shared words.

    Raises:
        ValueError: the models have vocabularies of different sizes.
    """
    rows_a, rows_b = classifier.body.wte.weight.detach(), base.wte.weight.detach()
    if len(rows_a) != len(rows_b):
        raise ValueError(f"base: has {len(rows_b):,} vocabulary items, the classifier {len(rows_a):,}; wanted the same")
    order = torch.arange(len(rows_b)) if shuffle is None else torch.randperm(len(rows_b), generator=shuffle)
    a, b = rows_a.cpu().double(), rows_b.cpu().double()[order]
    return ((b.T @ a) @ torch.linalg.pinv(a.T @ a, hermitian=True)).to(rows_b)


def random_kernel(kernel: Kernel, generator: torch.Generator) -> Kernel:
    """Draw a kernel of the same shape and Frobenius norm from a normal distribution: a random control."""
    noise = torch.randn(kernel.shape, generator=generator).to(kernel)
    return noise * (kernel.norm() / noise.norm())


def stitch(
    classifier: MeanStateClassifier, base: GPT2Model, keep: int, transplant: int, kernel: Kernel | None = None
) -> StitchedClassifier:
    """Put the last layers and the head of a classifier on the first layers of another model.

    ``keep`` layers of the base run first, or its embeddings alone; ``transplant`` layers of the classifier run after
    them, or its head alone. The kernel maps between their hidden states; ``embedding_kernel`` is the default.

    Raises:
        ValueError: more layers than there are; a kernel of another shape; vocabularies of different sizes.

    Source: arXiv 2209.02535, section 5.2.
    """
    for name, count, most in (("keep", keep, len(base.h)), ("transplant", transplant, len(classifier.body.h))):
        if not 0 <= count <= most:
            raise ValueError(f"{name}={count}: must be between 0 and {most}")
    shape = (base.config.hidden_size, classifier.body.config.hidden_size)
    kernel = embedding_kernel(classifier, base) if kernel is None else kernel
    if tuple(kernel.shape) != shape:
        raise ValueError(f"kernel: has shape {tuple(kernel.shape)}, wanted {shape}")
    return StitchedClassifier(classifier, base, keep, transplant, kernel)


@dataclass(frozen=True, eq=False, repr=False)
class StitchingTable:
    """Accuracy and area of every stitched classifier, beside its controls and the donor.

    Rows are numbers of layers kept, 0 to layers_b; columns are numbers of layers transplanted, 0 to layers_a. The
    area under the ROC curve is the probability that a text of class 1 has higher log-odds than a text of class 0.

    Attributes:
        accuracy, area: with the kernel of the embeddings.
        random_accuracy, random_area: with random kernels.
        shuffled_accuracy, shuffled_area: with kernels of the base's shuffled words.
        at_median: accuracy if the threshold is each classifier's median log-odds.
        donor_accuracy, donor_area: accuracy and area of the classifier itself.
        chance: share of the more frequent label.
        n_texts: number of texts.
    """

    accuracy: Accuracies
    random_accuracy: Accuracies
    shuffled_accuracy: Accuracies
    at_median: Accuracies
    area: Accuracies
    random_area: Accuracies
    shuffled_area: Accuracies
    donor_accuracy: float
    donor_area: float
    chance: float
    n_texts: int

    def interval(self, accuracy: float) -> tuple[float, float]:
        """Return the 95% interval (Wilson) of an accuracy over the texts."""
        interval = binomtest(round(accuracy * self.n_texts), self.n_texts).proportion_ci(method="wilson")
        return float(interval.low), float(interval.high)

    @property
    def beats_controls(self) -> Bool[Tensor, "keeps transplants"]:
        """Which classifiers are more accurate than all controls with the same layers."""
        return self.accuracy > torch.cat([self.random_accuracy, self.shuffled_accuracy]).amax(0)

    def __repr__(self) -> str:
        low, high = self.interval(self.donor_accuracy)
        return (
            f"StitchingTable({self.n_texts:,} texts; donor {self.donor_accuracy:.1%} ({low:.1%} to {high:.1%}), chance "
            f"{self.chance:.1%}; best of {self.accuracy.numel()} stitched {self.accuracy.max():.1%}, best of "
            f"{self.random_accuracy.numel()} random {self.random_accuracy.max():.1%})"
        )

    def _repr_html_(self) -> str:
        table = pd.DataFrame(self.accuracy.tolist()).rename("keep {}".format).rename("transplant {}".format, axis=1)
        return table_html(table, repr(self), "{:.1%}")


def stitching_table(
    classifier: MeanStateClassifier,
    base: GPT2Model,
    tokens: tuple[Tokens, Tokens],
    labels: Int[Tensor, " n"],
    seeds: Sequence[int] = range(10),
    shuffles: Sequence[int] = (),
) -> StitchingTable:
    """Classify texts by every stitched classifier, for all numbers of layers kept and transplanted.

    The tokens are ids and mask, from ``last_tokens``; labels are 0 or 1. The controls are random kernels, one per seed,
    and kernels of the base's shuffled words, one per shuffle; they are the same for all numbers of layers.

    Raises:
        ValueError: the labels are not 0 and 1, or the classifier has more than two classes.
    """
    given, classes = sorted(set(labels.tolist())), classifier.score.out_features
    if given != [0, 1] or classes != 2:
        raise ValueError(f"labels: are {given} for a classifier of {classes} classes; wanted 0 and 1, both, and 2")
    kernel = embedding_kernel(classifier, base)
    random_kernels = [random_kernel(kernel, torch.Generator().manual_seed(seed)) for seed in seeds]
    shuffled_kernels = [embedding_kernel(classifier, base, torch.Generator().manual_seed(seed)) for seed in shuffles]
    odds, donor_odds = _log_odds(classifier, base, tokens, [kernel, *random_kernels, *shuffled_kernels])
    positive, parts = labels.bool(), [1, len(seeds), len(shuffles)]
    accuracy, random_accuracy, shuffled_accuracy = _accuracy(odds > 0, positive).split(parts)
    area, random_area, shuffled_area = _area(odds, positive).split(parts)
    return StitchingTable(
        accuracy=accuracy[0],
        random_accuracy=random_accuracy,
        shuffled_accuracy=shuffled_accuracy,
        at_median=_accuracy(odds[0] > odds[0].quantile(0.5, dim=-1, keepdim=True), positive),
        area=area[0],
        random_area=random_area,
        shuffled_area=shuffled_area,
        donor_accuracy=float(_accuracy(donor_odds > 0, positive)),
        donor_area=float(_area(donor_odds, positive)),
        chance=float(labels.bincount().max() / len(labels)),
        n_texts=len(labels),
    )


@torch.no_grad()
def _log_odds(
    classifier: MeanStateClassifier, base: GPT2Model, tokens: tuple[Tensor, Tensor], kernels: Sequence[Tensor]
) -> tuple[Float[Tensor, "kernels keeps transplants n"], Float[Tensor, " n"]]:
    """Return the log-odds of class 1 by every stitched classifier and by the donor; the base runs once per text."""
    all_ids, all_mask = tokens
    lengths, transplants = all_mask.sum(1), len(classifier.body.h) + 1
    odds = torch.empty(len(kernels), len(base.h) + 1, transplants, len(all_ids))
    donor_odds = torch.empty(len(all_ids))
    batches = lengths.argsort().split(BATCH)  # texts of similar length, each batch as wide as its longest text
    for rows in tqdm(batches, desc="stitching", unit=" batch", delay=2, leave=False):
        ids, mask = (part[rows, : lengths[rows].max()] for part in tokens)
        donor_odds[rows] = classifier(ids, mask).diff(dim=1)[:, 0].cpu()
        for keep, states in enumerate(hidden_states(base, ids, mask, len(base.h))):
            for number, kernel in enumerate(kernels):
                for transplant in range(transplants):
                    logits = stitch(classifier, base, keep, transplant, kernel).finish(states, mask)
                    odds[number, keep, transplant, rows] = logits.diff(dim=1)[:, 0].cpu()
    return odds, donor_odds


def _accuracy(predictions: Bool[Tensor, "*models n"], positive: Bool[Tensor, " n"]) -> Float[Tensor, "*models"]:
    return (predictions == positive).double().mean(-1)


def _area(odds: Float[Tensor, "*models n"], positive: Bool[Tensor, " n"]) -> Float[Tensor, "*models"]:
    """Return areas under ROC curves, from the U statistic of Mann and Whitney."""
    statistic = mannwhitneyu(odds[..., positive].numpy(), odds[..., ~positive].numpy(), axis=-1).statistic
    return torch.as_tensor(statistic) / float(positive.sum() * (~positive).sum())
