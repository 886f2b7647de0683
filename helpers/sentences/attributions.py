"""Which tokens matter: the pullback metric and integrated gradients, compared by deletion curves."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.adapters import PartsMap, TextAdapter
from helpers.geometry import PullbackMetric
from helpers.sentences.substitutions import run_texts

INTEGRATION_STEPS = 50  # captum's own default


def pullback_importance(f: PartsMap) -> Float[Tensor, " parts"]:
    """Return the largest length of a unit move of each part in the pullback metric.

    The metric of the outputs is the Fisher-Rao metric where they are the log-probabilities of classes, else the
    Euclidean metric.

    Source: arXiv 2410.06019, the largest eigenvalue of each part's block.
    """
    return PullbackMetric.at(f, f.start, f.head.output_metric).part_norms()


def integrated_gradients(f: PartsMap, baseline: Float[Tensor, "parts d_model"]) -> Float[Tensor, " parts"]:
    """Return captum's integrated gradients, with their sign, summed over the coordinates of each part.

    What is attributed is the largest output at the start: the log-probability of the predicted class or of the most
    probable label, or a value of a regression. The path of integration begins at the baseline.
    """
    # Captum loads pyplot and takes seconds, which other functions need not wait for.
    from captum.attr import IntegratedGradients

    largest = int(f(f.start).argmax())
    method = IntegratedGradients(lambda points: torch.func.vmap(f)(points)[:, largest])
    steps = {"n_steps": INTEGRATION_STEPS, "internal_batch_size": INTEGRATION_STEPS}
    return method.attribute(f.start[None], baseline[None], **steps)[0].sum(-1).detach()


def mask_baseline(adapter: TextAdapter, f: PartsMap) -> Float[Tensor, "parts d_model"]:
    """Return the embeddings of [MASK] at the positions that may move.

    Raises:
        ValueError: the model has no [MASK].
    """
    return adapter.embed([_mask_id(adapter)] * len(f.point), adapter.segments_of(f.point))[list(f.parts)]


def deletion_curve(adapter: TextAdapter, f: PartsMap, importance: Float[Tensor, " parts"]) -> Float[Tensor, " parts+1"]:
    """Return the probability of the first prediction while tokens are replaced by [MASK], the most important first.

    The sooner it falls, the better the importance; a good importance has a small mean. The importance is one number per
    part of the map that may move.

    Raises:
        ValueError: the map was not taken at the point of a text or computes no probabilities; the model has no [MASK].
    """
    order = [f.parts[i] for i in importance.argsort(descending=True)]
    texts = torch.tensor(adapter.ids_of(f.point)).repeat(len(order) + 1, 1)
    for count, position in enumerate(order, 1):
        texts[count:, position] = _mask_id(adapter)
    outputs = run_texts(adapter, f, texts)
    return f.head.probabilities(outputs)[:, f.head.most_probable(outputs[0])]


def _mask_id(adapter: TextAdapter) -> int:
    if adapter.tokenizer.mask_token_id is None:
        raise ValueError(
            f"adapter: {adapter.name} has no [MASK] that could stand for a deleted token; use a text encoder"
        )
    return int(adapter.tokenizer.mask_token_id)
