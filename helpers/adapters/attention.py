"""Which parts a model's attention points to: rollout, and relevance weighted by gradients.

Source: Abnar and Zuidema, arXiv 2005.00928, for rollout; Chefer, Gur and Wolf, arXiv 2103.15679, for relevance. The
paper of the walks (arXiv 2410.06019) chooses parts by relevance, for text by a variant that propagates relevance
through every layer (arXiv 2012.09838).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.adapters.model import ModelAdapter

Maps = list[Float[Tensor, "heads rows rows"]]


def attention_rollout(adapter: ModelAdapter, point: Float[Tensor, "parts d_model"]) -> Float[Tensor, " parts"]:
    """Return how much attention reaches each part from the rows that the head reads, through all layers.

    Each layer's map is averaged over heads and with the identity, which stands for the residual stream.
    """
    attentions, _, read = _attend(adapter, point)
    rollout = torch.eye(len(read)).to(read)
    for attention in attentions:
        mean = attention.mean(0)
        rollout = (mean + torch.eye(len(mean)).to(mean)) / 2 @ rollout
    return (read @ rollout)[-len(point) :]


def attention_relevance(adapter: ModelAdapter, point: Float[Tensor, "parts d_model"]) -> Float[Tensor, " parts"]:
    """Return the relevance of each part for the predicted class: attention times its gradient, where positive."""
    attentions, gradients, read = _attend(adapter, point)
    relevance = torch.eye(len(read)).to(read)
    for attention, gradient in zip(attentions, gradients, strict=True):
        relevance = relevance + (attention * gradient).clamp(min=0).mean(0) @ relevance
    return (read @ relevance)[-len(point) :]


def _attend(adapter: ModelAdapter, point: Tensor) -> tuple[Maps, Maps, Float[Tensor, " rows"]]:
    """Run a model on a point of layer 0.

    Returns:
        The attention maps, the gradients of the largest logit with respect to them, and the share of each row of the
        final state in what the head reads, by the size of its gradient: the class token of a ViT, for example.
    """
    adapter.check_point(point)
    with torch.enable_grad():
        logits, output = adapter.run_with_attentions(point.detach().requires_grad_())
        if not output.attentions or None in output.attentions:
            raise ValueError(f"adapter: {adapter.name} gives no attention maps; load it with eager attention")
        maps, final = list(output.attentions), output.hidden_states[-1]
        *gradients, final_gradient = torch.autograd.grad(logits.max(), [*maps, final])
    read = final_gradient[0].norm(dim=-1)
    return [map_[0].detach() for map_ in maps], [gradient[0] for gradient in gradients], read / read.sum()
