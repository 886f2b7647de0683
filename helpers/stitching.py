"""The top layers of a classifier on the lower layers of another model, without any training.

Source: arXiv 2209.02535, section 5.2.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy.stats import binomtest
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import GPT2ForSequenceClassification, GPT2Model
from transformers.masking_utils import create_causal_mask

from helpers.equivalence import create_generator
from helpers.geometry.arguments import check_whole
from helpers.resources import MEAN_POOLING, load_model, load_tokenizer, token_names
from helpers.resources.display import table_html
from helpers.weights import FAMILIES
from helpers.weights.reference import layer_states, list_layers, load_body

__all__ = [
    "MeanStateClassifier",
    "StitchedClassifier",
    "StitchingTable",
    "apply_kernel",
    "apply_kernel_as_released",
    "embedding_kernel",
    "hidden_states",
    "last_tokens",
    "load_body",
    "load_classifier",
    "random_kernel",
    "stitch",
    "stitching_table",
    "subtract_layers",
]

CONTEXT = 128  # the last tokens of a text that a classifier reads; the bundled models were trained on this length
BATCH = 100  # texts per batch

Tokens = Int[Tensor, "texts tokens"]  # token ids, or their mask: 1 where there is a token
States = Float[Tensor, "texts tokens width"]
Logits = Float[Tensor, "texts labels"]
Kernel = Float[Tensor, "d_b d_a"]  # maps states of model B to states of model A: x @ kernel
Base = Any  # the body of a model of texts of any family
Transfer = Callable[[States, Kernel, Base, GPT2Model], States]  # states, kernel, base and body of the classifier


class MeanStateClassifier(torch.nn.Module):
    """A linear classifier on the mean over tokens of a GPT-2's final states, before the final layer norm.

    The model that it is given stays as it is; its parameters are shared. Source: the classifier of arXiv 2209.02535.
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

    def __init__(
        self,
        classifier: MeanStateClassifier,
        base: Base,
        keep: int,
        transplant: int,
        kernel: Kernel,
        transfer: Transfer,
    ):
        super().__init__()
        self.classifier, self.base, self.keep, self.transplant = classifier, base, keep, transplant
        self.kernel, self.transfer = torch.nn.Buffer(kernel.to(classifier.score.weight)), transfer

    def forward(self, ids: Tokens, mask: Tokens) -> Logits:
        """Map token ids and their mask to logits."""
        return self.finish(layer_states(self.base, input_ids=ids, attention_mask=mask)[self.keep], mask)

    def finish(self, states: States, mask: Tokens) -> Logits:
        """Map the states of the base after the layers that are kept to logits."""
        body = self.classifier.body
        layers = body.h[len(body.h) - self.transplant :]
        inputs = self.transfer(states, self.kernel, self.base, body)
        return self.classifier.classify(_run_layers(body, layers, inputs, mask)[-1], mask)


def apply_kernel(states: States, kernel: Kernel, base: Base, body: GPT2Model) -> States:
    """Map states of the base to inputs of the classifier's layers by the kernel alone."""
    return states @ kernel


def apply_kernel_as_released(states: States, kernel: Kernel, base: Base, body: GPT2Model) -> States:
    """Map states as the code of the paper does: final norm of the base, kernel, position embeddings of the classifier.

    Source: the authors' code to arXiv 2209.02535, which feeds the states through the usual input of the classifier.
    """
    norm = FAMILIES[base.config.model_type].final_norm  # a BERT has none
    return _add_positions(body, (base.get_submodule(norm)(states) if norm else states) @ kernel)


def hidden_states(body: GPT2Model, ids: Tokens, mask: Tokens, layers: int) -> list[States]:
    """Return the states before the first layer and after each of the first ``layers`` layers.

    Raises:
        ValueError: more tokens than positions.
    """
    return _run_layers(body, body.h[:layers], _add_positions(body, body.wte(ids)), mask)


def _add_positions(body: GPT2Model, vectors: States) -> States:
    """Add the position embeddings to the vectors of tokens, which makes them inputs of the first layer."""
    length, most = vectors.shape[1], len(body.wpe.weight)
    if length > most:
        raise ValueError(f"ids: have {length} tokens, wanted {most} at most; use last_tokens(..., most={most})")
    return body.drop(vectors + body.wpe.weight[:length])


def _run_layers(body: GPT2Model, layers: Iterable[torch.nn.Module], states: States, mask: Tokens) -> list[States]:
    """Run layers with the causal mask that the body makes itself: the states before the first and after each."""
    causal = create_causal_mask(config=body.config, inputs_embeds=states, attention_mask=mask, past_key_values=None)
    return list(accumulate(layers, lambda inputs, layer: layer(inputs, attention_mask=causal), initial=states))


def load_classifier(name: str | Path, device: str | torch.device = "cpu") -> MeanStateClassifier:
    """Load a classifier that was finetuned without the final layer norm, on the mean of its states.

    Raises:
        ModelNotFoundError: there is no such model, or it has no classifier or tokenizer.
        ValueError: its configuration does not say that it averages states, as ``state_pooling: "mean"``.
    """
    model: Any = load_model(GPT2ForSequenceClassification, name, device)
    if getattr(model.config, "state_pooling", None) != MEAN_POOLING:
        raise ValueError(
            f"name={str(name)!r}: classifies by the state of its last token, wanted a classifier on the mean of its "
            "states ('state_pooling': 'mean' in config.json); helpers.adapters.load_adapter runs this one"
        )
    model.transformer.item_names = token_names(load_tokenizer(name), model.config.vocab_size)
    return MeanStateClassifier(model)


def subtract_layers(classifier: MeanStateClassifier, pretrained: GPT2Model) -> MeanStateClassifier:
    """Return a copy of a classifier whose layers hold what finetuning added: finetuned minus pretrained parameters.

    Layer norms, embeddings and the head are left as they are. Source: the authors' code to arXiv 2209.02535.

    Raises:
        ValueError: the models have layers of different shapes.
    """
    added = copy.deepcopy(classifier)
    layers, pretrained_layers = added.body.h.state_dict(), list_layers(pretrained).state_dict()
    if {k: v.shape for k, v in layers.items()} != {k: v.shape for k, v in pretrained_layers.items()}:
        raise ValueError("pretrained: layers have other shapes than the classifier's; wanted the model it was made of")
    for name, parameter in layers.items():  # these share their memory with the copy
        if ".ln_" not in name:
            parameter -= pretrained_layers[name]
    return added


def last_tokens(tokenizer: Any, texts: Sequence[str], most: int = CONTEXT) -> tuple[Tokens, Tokens]:
    """Tokenise texts and keep the last tokens of each, because a review's judgement is at its end: ids and mask.

    Raises:
        ValueError: no list of texts, or a text without tokens.
    """
    check_whole("most", most, least=1)
    if isinstance(texts, str) or len(texts) == 0:
        raise ValueError(f"texts={texts!r}: must be a list of texts, at least one, such as ['A fine film.']")
    tokens = tokenizer(list(texts), verbose=False)["input_ids"]
    empty = [i for i, text in enumerate(tokens) if not text]
    if empty:
        raise ValueError(f"texts: number {empty[0]} has no tokens; write at least one word of known characters")
    endings = [torch.tensor(text[-most:], dtype=torch.long) for text in tokens]
    ids = pad_sequence(endings, batch_first=True)  # any id does, because the mask is 0 there
    return ids, pad_sequence([torch.ones_like(ending) for ending in endings], batch_first=True)


def embedding_kernel(classifier: MeanStateClassifier, base: Base, shuffle: torch.Generator | None = None) -> Kernel:
    """Return E_B^T E_A (E_A^T E_A)^-1, the least-squares map from states of the base (B) to the classifier's (A).

    The rows of E_A and E_B are the items of the two vocabularies, which are the same.
    With a generator, the base's words are permuted: a control with both models' embeddings, but no shared words.

    Raises:
        ValueError: the models have other vocabularies.
    """
    rows_a, rows_b = classifier.body.wte.weight.detach(), getattr(base, "item_rows", None)
    rows_b = (base.get_input_embeddings().weight if rows_b is None else rows_b).detach().to(rows_a)
    names_a, names_b = (getattr(body, "item_names", None) for body in (classifier.body, base))  # if loaded by name
    if len(rows_a) != len(rows_b) or (names_a and names_b and names_a != names_b):
        raise ValueError(
            f"base: its {len(rows_b):,} vocabulary items are not the classifier's {len(rows_a):,}; wanted the same, "
            "or a kernel from the items that both have (helpers.vocabulary.match_items)"
        )
    order = torch.arange(len(rows_b)) if shuffle is None else torch.randperm(len(rows_b), generator=shuffle)
    a, b = rows_a.cpu().double(), rows_b.cpu().double()[order]
    return ((b.T @ a) @ torch.linalg.pinv(a.T @ a, hermitian=True)).to(rows_b)


def random_kernel(kernel: Kernel, generator: torch.Generator) -> Kernel:
    """Draw a kernel of the same shape and Frobenius norm from a normal distribution: a random control."""
    noise = torch.randn(kernel.shape, generator=generator).to(kernel)
    return noise * (kernel.norm() / noise.norm())


def stitch(
    classifier: MeanStateClassifier,
    base: Base,
    keep: int,
    transplant: int,
    kernel: Kernel | None = None,
    transfer: Transfer = apply_kernel,
) -> StitchedClassifier:
    """Put the last layers and the head of a classifier on the first layers of another model.

    ``keep`` layers of the base run first, or its embeddings alone; ``transplant`` layers of the classifier run after
    them, or its head alone. The kernel maps between their hidden states; ``embedding_kernel`` is the default. The
    transfer says how it is applied: alone, or by ``apply_kernel_as_released``.

    Raises:
        ValueError: more layers than there are; a kernel of another shape; other vocabularies.

    Source: arXiv 2209.02535, section 5.2.
    """
    check_whole("keep", keep, most=len(list_layers(base)))
    check_whole("transplant", transplant, most=len(classifier.body.h))
    shape = (base.config.hidden_size, classifier.body.config.hidden_size)
    kernel = embedding_kernel(classifier, base) if kernel is None else kernel
    if tuple(kernel.shape) != shape:
        raise ValueError(f"kernel: has shape {tuple(kernel.shape)}, wanted {shape}")
    return StitchedClassifier(classifier, base, keep, transplant, kernel, transfer)


@dataclass(frozen=True, eq=False, repr=False)
class StitchingTable:
    """Log-odds of class 1 for n texts by every stitched classifier, beside its controls and the donor.

    ``keeps`` counts the layers kept, 0 to layers_b, and ``transplants`` the layers transplanted, 0 to layers_a.

    Attributes:
        log_odds: with the kernel of the embeddings.
        random_log_odds: with random kernels.
        shuffled_log_odds: with kernels of the base's shuffled words.
        donor_log_odds: of the classifier itself.
        labels: of the texts, 0 or 1.
    """

    log_odds: Float[Tensor, "keeps transplants n"]
    random_log_odds: Float[Tensor, "seeds keeps transplants n"]
    shuffled_log_odds: Float[Tensor, "seeds keeps transplants n"]
    donor_log_odds: Float[Tensor, " n"]
    labels: Int[Tensor, " n"]

    @cached_property
    def accuracy(self) -> Float[Tensor, "keeps transplants"]:
        """Accuracy of every stitched classifier."""
        return self.measure_accuracy(self.log_odds)

    def measure_accuracy(self, log_odds: Float[Tensor, "*models n"]) -> Float[Tensor, "*models"]:
        """Return the share of the texts whose log-odds have the sign of their label."""
        return ((log_odds > 0) == self.labels.bool()).double().mean(-1)

    @property
    def chance(self) -> float:
        """Share of the more frequent label."""
        return float(self.labels.bincount().max() / len(self.labels))

    def interval(self, accuracy: float) -> tuple[float, float]:
        """Return the 95% interval (Wilson) of an accuracy over the texts."""
        interval = binomtest(round(accuracy * len(self.labels)), len(self.labels)).proportion_ci(method="wilson")
        return float(interval.low), float(interval.high)

    def __repr__(self) -> str:
        donor, random = (self.measure_accuracy(odds) for odds in (self.donor_log_odds, self.random_log_odds))
        low, high = self.interval(float(donor))
        return (
            f"StitchingTable({len(self.labels):,} texts; donor {donor:.1%} ({low:.1%} to {high:.1%}), chance "
            f"{self.chance:.1%}; best of {self.accuracy.numel()} stitched {self.accuracy.max():.1%}, best of "
            f"{random.numel()} random {random.max():.1%})"
        )

    def _repr_html_(self) -> str:
        table = pd.DataFrame(self.accuracy.tolist()).rename("keep {}".format).rename("transplant {}".format, axis=1)
        return table_html(table, repr(self), "{:.1%}")


@torch.no_grad()
def stitching_table(
    classifier: MeanStateClassifier,
    base: Base,
    tokens: tuple[Tokens, Tokens],
    labels: Int[Tensor, " n"],
    seeds: Sequence[int] = range(4),
    transfer: Transfer = apply_kernel,
) -> StitchingTable:
    """Classify texts by every stitched classifier, for all numbers of layers kept and transplanted.

    The tokens are ids and mask, from ``last_tokens``; labels are 0 or 1. The controls are a random kernel and a kernel
    of the base's shuffled words per seed; they are the same for all numbers of layers.

    Raises:
        ValueError: the labels are not 0 and 1, one per text, the classifier has more than two classes, or no seed.
    """
    check_whole("number of seeds", len(seeds), least=1)
    given, classes, labels = sorted(set(labels.tolist())), classifier.score.out_features, labels.long()
    if given != [0, 1] or classes != 2:
        raise ValueError(f"labels: are {given} for a classifier of {classes} classes; wanted 0 and 1, both, and 2")
    if len(labels) != len(tokens[0]):
        raise ValueError(f"labels: are {len(labels)}, wanted {len(tokens[0])}, one per text")
    kernel = embedding_kernel(classifier, base)
    kernels = [kernel, *(random_kernel(kernel, create_generator(seed)) for seed in seeds)]
    kernels += [embedding_kernel(classifier, base, create_generator(seed)) for seed in seeds]
    log_odds = torch.empty(len(kernels), len(list_layers(base)) + 1, len(classifier.body.h) + 1, len(labels))
    donor_log_odds, lengths = torch.empty(len(labels)), tokens[1].sum(1)
    batches = lengths.argsort().split(BATCH)  # texts of similar length, each batch as wide as its longest text
    for rows in tqdm(batches, desc="stitching", unit=" batch", delay=2, leave=False):
        ids, mask = (part[rows, : lengths[rows].max()] for part in tokens)
        donor_log_odds[rows] = classifier(ids, mask).diff(dim=1)[:, 0].cpu()
        for keep, states in enumerate(layer_states(base, input_ids=ids, attention_mask=mask)):
            for number, transplant in product(range(len(kernels)), range(log_odds.shape[2])):
                whole = stitch(classifier, base, keep, transplant, kernels[number], transfer)
                log_odds[number, keep, transplant, rows] = whole.finish(states, mask).diff(dim=1)[:, 0].cpu()
    random, shuffled = log_odds[1:].chunk(2)
    return StitchingTable(log_odds[0], random, shuffled, donor_log_odds, labels)
