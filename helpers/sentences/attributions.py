"""Which tokens matter: the pullback metric beside integrated gradients and chance, with deletion as the referee."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from helpers.adapters import BertAdapter, PartsMap
from helpers.geometry import FisherRao, PullbackMetric
from helpers.sentences.substitutions import run_texts

IG_STEPS = 50


def pullback_importance(f: PartsMap) -> Tensor:
    """Largest pullback length of a unit move of each part under the Fisher-Rao metric, (parts,).

    Source: arXiv 2410.06019, the largest eigenvalue of each part's block.
    """
    return PullbackMetric.at(f, f.start, FisherRao()).part_norms()


def integrated_gradients(f: PartsMap, baseline: Tensor) -> Tensor:
    """Size of captum's integrated gradients of the first verdict's log-probability, summed over each part, (parts,).

    Args:
        f: the map.
        baseline: (parts, d_model), where the path of integration begins.
    """
    verdict = int(f(f.start).argmax())
    method = IntegratedGradients(lambda points: torch.func.vmap(f)(points)[:, verdict])
    found = method.attribute(f.start[None], baseline[None], n_steps=IG_STEPS, internal_batch_size=IG_STEPS)
    return found[0].sum(-1).abs().detach()


def mask_baseline(adapter: BertAdapter, f: PartsMap) -> Tensor:
    """Embeddings of [MASK] at a map's positions, (parts, d_model)."""
    masks = adapter.embed([adapter.tokenizer.mask_token_id] * len(f.point))
    return masks[list(f.parts)]


def deletion_curve(adapter: BertAdapter, ids: Sequence[int], f: PartsMap, importance: Tensor) -> Tensor:
    """Probability of the first verdict as tokens are replaced by [MASK], the most important first, (parts + 1,).

    The lower it falls at once, the better the importance; a good one has a small mean.
    """
    order = [f.parts[i] for i in importance.argsort(descending=True)]
    texts = torch.tensor(ids).repeat(len(order) + 1, 1)
    for made, position in enumerate(order, 1):
        texts[made:, position] = adapter.tokenizer.mask_token_id
    outputs = run_texts(adapter, f, texts)
    return outputs[:, outputs[0].argmax()].exp()
