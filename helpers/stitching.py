"""A classifier's top layers put on another model's lower layers, with nothing trained.

Source: arXiv 2209.02535, section 5.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from scipy.stats import binomtest, mannwhitneyu
from torch import Tensor
from tqdm import tqdm
from transformers import GPT2ForSequenceClassification, GPT2Model
from transformers.masking_utils import create_causal_mask

from helpers.resources import load_model

CONTEXT = 128  # tokens of a text that are looked at, its last ones
BATCH = 100
SLOW = 2  # seconds after which a progress bar shows


class MeanStateClassifier(torch.nn.Module):
    """A GPT-2 body without its final layer norm, and a linear classifier on the mean of the tokens' final states.

    Source: the finetuned classifier of arXiv 2209.02535.
    """

    def __init__(self, model: GPT2ForSequenceClassification):
        super().__init__()
        self.body, self.score = model.transformer, model.score
        self.body.ln_f = torch.nn.Identity()

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Map token ids (B, T) and their mask to logits (B, labels)."""
        return self.score(mean_state(self.body(input_ids=ids, attention_mask=mask).last_hidden_state, mask))


def mean_state(states: Tensor, mask: Tensor) -> Tensor:
    """Average the states (B, T, d) of the tokens that a mask (B, T) keeps: (B, d)."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def load_classifier(name: str | Path, device: str | torch.device = "cpu") -> MeanStateClassifier:
    """Load a classifier that was finetuned without the final layer norm, on the mean of its states.

    Raises:
        ModelNotFoundError: there is no such model, or it has no classifier.
    """
    return MeanStateClassifier(load_model(GPT2ForSequenceClassification, name, device))


def load_body(name: str | Path, device: str | torch.device = "cpu") -> GPT2Model:
    """Load a GPT-2's embeddings and layers, without a head.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    return load_model(GPT2Model, name, device)


def last_tokens(tokenizer: Any, texts: Sequence[str], most: int = CONTEXT) -> tuple[Tensor, Tensor]:
    """Tokenise texts, keeping each one's last tokens, where a review says its verdict: ids and mask (N, longest)."""
    kept = [tokens[-most:] for tokens in tokenizer(list(texts), verbose=False)["input_ids"]]
    ids = torch.full((len(kept), max(map(len, kept))), tokenizer.eos_token_id)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(kept):
        ids[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens), 1
    return ids, mask


def embedding_kernel(
    classifier: MeanStateClassifier, base: GPT2Model, shuffle: torch.Generator | None = None
) -> Tensor:
    """Return E_B E_A^+ (d_B, d_A): what turns a row of the base's embeddings into one of the classifier's, at best.

    Args:
        classifier: the donor, model A.
        base: model B.
        shuffle: permute the base's words, for a control: both models' embeddings, but nothing shared between them.

    Raises:
        ValueError: the models have vocabularies of different sizes.
    """
    rows_a, rows_b = (body.wte.weight.detach() for body in (classifier.body, base))
    if len(rows_a) != len(rows_b):
        raise ValueError(f"base: has {len(rows_b):,} vocabulary items, the classifier {len(rows_a):,}; wanted the same")
    gram = rows_a.cpu().double().T @ rows_a.cpu().double()
    order = torch.arange(len(rows_b)) if shuffle is None else torch.randperm(len(rows_b), generator=shuffle)
    cross = rows_b.cpu().double()[order].T @ rows_a.cpu().double()
    return (cross @ torch.linalg.pinv(gram, hermitian=True)).to(rows_b)


def random_kernel(kernel: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a kernel of the same shape and the same Frobenius norm, from a normal distribution."""
    noise = torch.randn(kernel.shape, generator=generator).to(kernel)
    return noise * (kernel.norm() / noise.norm())


class StitchedClassifier(torch.nn.Module):
    """The base's first layers, a kernel, the classifier's last layers and its head; parts are shared, not copied."""

    def __init__(self, classifier: MeanStateClassifier, base: GPT2Model, keep: int, transplant: int, kernel: Tensor):
        super().__init__()
        self.classifier, self.base = classifier, base
        self.keep, self.transplant = keep, transplant
        self.register_buffer("kernel", kernel)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Map token ids (B, T) and their mask to logits (B, labels)."""
        return self.finish(hidden_states(self.base, ids, mask, self.keep)[-1], mask)

    def finish(self, states: Tensor, mask: Tensor) -> Tensor:
        """Map the base's states after its first layers (B, T, d_B) to logits (B, labels)."""
        body = self.classifier.body
        top = body.h[len(body.h) - self.transplant :]
        return self.classifier.score(mean_state(_run(body, top, states @ self.kernel, mask)[-1], mask))


def hidden_states(body: GPT2Model, ids: Tensor, mask: Tensor, layers: int) -> list[Tensor]:
    """Return the states of a batch (B, T, d) before the first layer and after each of the first ones."""
    positions = torch.arange(ids.shape[1], device=ids.device)
    return _run(body, body.h[:layers], body.wte(ids) + body.wpe(positions), mask)


def _run(body: GPT2Model, layers: Sequence[torch.nn.Module], states: Tensor, mask: Tensor) -> list[Tensor]:
    """Run some layers of a body, with the causal mask that it would make itself: the states before and after each."""
    causal = create_causal_mask(config=body.config, inputs_embeds=states, attention_mask=mask, past_key_values=None)
    found = [states]
    for layer in layers:
        found.append(layer(found[-1], attention_mask=causal))
    return found


def stitch(
    classifier: MeanStateClassifier, base: GPT2Model, keep: int, transplant: int, kernel: Tensor | None = None
) -> StitchedClassifier:
    """Put a classifier's last layers and head on another model's first layers.

    Args:
        classifier: the donor, model A.
        base: model B, which never saw the task.
        keep: how many of the base's layers run first; 0 leaves its embeddings alone.
        transplant: how many of the classifier's last layers run after them; 0 leaves its head alone.
        kernel: (d_B, d_A); ``embedding_kernel`` by default.

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
    """Accuracies of every stitched classifier, beside its meaningless twins and the donor.

    Attributes:
        accuracy: with the kernel of the embeddings, (layers_b + 1, layers_a + 1): a row a keep, a column a transplant.
        random: with random kernels, (seeds, layers_b + 1, layers_a + 1).
        shuffled: with kernels of the base's shuffled words, (shuffles, layers_b + 1, layers_a + 1).
        at_median: as accuracy, each classifier's threshold put where half of the texts are on either side.
        area: under the ROC curve, shaped as accuracy: how often a text of class 1 has higher log-odds than one of 0.
        random_area: the same with random kernels.
        shuffled_area: the same with kernels of shuffled words.
        donor: of the classifier itself.
        donor_area: the area of the classifier itself.
        chance: share of the commonest label.
        texts: how many texts were judged.
    """

    accuracy: Tensor
    random: Tensor
    shuffled: Tensor
    at_median: Tensor
    area: Tensor
    random_area: Tensor
    shuffled_area: Tensor
    donor: float
    donor_area: float
    chance: float
    texts: int

    def interval(self, accuracy: float) -> tuple[float, float]:
        """Return the 95% interval (Wilson) of a share of the texts."""
        interval = binomtest(round(accuracy * self.texts), self.texts).proportion_ci(method="wilson")
        return float(interval.low), float(interval.high)

    @property
    def beats_twins(self) -> Tensor:
        """Which classifiers are better than all of their meaningless twins, (layers_b + 1, layers_a + 1)."""
        return self.accuracy > torch.cat([self.random, self.shuffled]).amax(0)

    def __repr__(self) -> str:
        low, high = self.interval(self.donor)
        return (
            f"StitchingTable({self.texts:,} texts; donor {self.donor:.1%} ({low:.1%} to {high:.1%}), chance "
            f"{self.chance:.1%}; best of {self.accuracy.numel()} stitched {self.accuracy.max():.1%}, best of "
            f"{self.random.numel()} random {self.random.max():.1%})"
        )

    def _repr_html_(self) -> str:
        table = pd.DataFrame(self.accuracy.tolist()).rename("keep {}".format)
        html = table.rename("transplant {}".format, axis=1).to_html(border=0, float_format="{:.1%}".format)
        return f"{html}<p style='font-size: 85%'>{self!r}</p>"


@torch.no_grad()
def stitching_table(
    classifier: MeanStateClassifier,
    base: GPT2Model,
    tokens: tuple[Tensor, Tensor],
    labels: Tensor,
    seeds: Sequence[int] = range(10),
    shuffles: Sequence[int] = (),
) -> StitchingTable:
    """Judge texts by every stitched classifier, over all keeps and transplants; the base runs once on each text.

    Args:
        classifier: the donor.
        base: the other model.
        tokens: ids and mask, as ``last_tokens`` gives them.
        labels: 0 or 1, (N,).
        seeds: of the random kernels; each is used at every keep and transplant.
        shuffles: seeds of the kernels of the base's shuffled words, used likewise.

    Raises:
        ValueError: the labels are not two, or the classifier has more classes.
    """
    if set(labels.tolist()) != {0, 1} or classifier.score.out_features != 2:
        raise ValueError(f"labels: are {sorted(set(labels.tolist()))}, wanted 0 and 1, both, for a classifier of two")
    kernel = embedding_kernel(classifier, base)
    kernels = [kernel, *(random_kernel(kernel, torch.Generator().manual_seed(seed)) for seed in seeds)]
    kernels += [embedding_kernel(classifier, base, torch.Generator().manual_seed(seed)) for seed in shuffles]
    depths = len(base.h) + 1, len(classifier.body.h) + 1
    odds, donor = torch.empty(len(kernels), *depths, len(labels)), torch.empty(len(labels))
    for rows, ids, mask in _batches(*tokens):
        donor[rows] = classifier(ids, mask).diff(dim=1)[:, 0].cpu()
        for keep, states in enumerate(hidden_states(base, ids, mask, len(base.h))):
            for k, each in enumerate(kernels):
                for transplant in range(depths[1]):
                    stitched = stitch(classifier, base, keep, transplant, each)
                    odds[k, keep, transplant, rows] = stitched.finish(states, mask).diff(dim=1)[:, 0].cpu()
    share = lambda above: (above == labels.bool()).double().mean(-1)  # noqa: E731
    parts = [1, len(seeds), len(shuffles)]
    own, random, shuffled = share(odds > 0).split(parts)
    own_area, random_area, shuffled_area = _areas(odds, labels.bool()).split(parts)
    return StitchingTable(
        accuracy=own[0],
        random=random,
        shuffled=shuffled,
        at_median=share(odds[0] > odds[0].quantile(0.5, dim=-1, keepdim=True)),
        area=own_area[0],
        random_area=random_area,
        shuffled_area=shuffled_area,
        donor=float(share(donor > 0)),
        donor_area=float(_areas(donor[None], labels.bool())),
        chance=float(labels.bincount().max() / len(labels)),
        texts=len(labels),
    )


def _areas(odds: Tensor, positive: Tensor) -> Tensor:
    """Areas under the ROC curves of scores (..., N) for labels (N,), by Mann and Whitney's U: (...)."""
    found = mannwhitneyu(odds[..., positive].numpy(), odds[..., ~positive].numpy(), axis=-1)
    return torch.from_numpy(found.statistic) / float(positive.sum() * (~positive).sum())


def _batches(ids: Tensor, mask: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Cut texts into batches of like length, no wider than the longest of each: rows, ids and mask."""
    for rows in tqdm(mask.sum(1).argsort().split(BATCH), desc="stitching", unit=" batch", delay=SLOW, leave=False):
        longest = int(mask[rows].sum(1).max())
        yield rows, ids[rows, :longest], mask[rows, :longest]
