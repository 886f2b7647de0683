"""The largest entries of a very large factored matrix, without forming it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from helpers.weights import FactoredMatrix

ROWS, COLUMNS = 2048, 4096  # size of a block of scores: 32 MB in float32
ROUNDING = 1e-5  # relative margin by which lengths are increased, so that rounding never rules out a block


def find_largest_pairs(
    scores: FactoredMatrix, labels: Int[Tensor, " items"], k: int
) -> tuple[Float[Tensor, " k"], Int[Tensor, "k 2"], float]:
    """Find the k largest entries of a tall (items, items) matrix exactly, block by block.

    A block is skipped if the product of its longest rows (Cauchy-Schwarz) does not exceed the k-th largest entry so
    far. Entries whose row and column have the same label do not count.

    Balanced factors (``balance``) rule out more blocks.

    Returns:
        The entries, largest first; their rows and columns; the share of all entries that was computed.
    """
    left, row_ids, row_lengths = _sort_by_length(scores.left)
    right, column_ids, column_lengths = _sort_by_length(scores.right)
    values, pairs = left.new_empty(0), torch.empty(0, 2, dtype=torch.long, device=left.device)
    buffer = left.new_empty(ROWS * COLUMNS)  # one for all blocks: fresh memory takes longer than the product
    computed = 0
    with tqdm(total=len(left), unit=" items", leave=False, delay=2) as bar:
        for i in range(0, len(left), ROWS):
            for j in range(0, len(right), COLUMNS):
                threshold = float(values[-1]) if len(values) == k else -torch.inf
                if float(row_lengths[i] * column_lengths[j]) <= threshold:
                    break  # the other blocks of these rows have shorter columns
                upper, lower = left[i : i + ROWS], right[j : j + COLUMNS]
                block = buffer[: len(upper) * len(lower)].view(len(upper), len(lower))
                computed += torch.mm(upper, lower.T, out=block).numel()
                if float(block.amax()) <= threshold:
                    continue
                ids = row_ids[i : i + ROWS], column_ids[j : j + COLUMNS]
                new_values, new_pairs = _select(block, ids, labels, threshold, k)
                values, order = torch.cat([values, new_values]).sort(descending=True, stable=True)
                values, pairs = values[:k], torch.cat([pairs, new_pairs])[order[:k]]
            bar.update(min(ROWS, len(left) - i))
    return values, pairs, computed / (len(left) * len(right))


def _sort_by_length(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort rows by length, longest first: the rows, their indices before, and their lengths rounded up."""
    lengths, order = rows.norm(dim=1).sort(descending=True)
    return rows[order], order, lengths * (1 + ROUNDING)


def _select(
    block: Tensor, ids: tuple[Tensor, Tensor], labels: Tensor, threshold: float, k: int
) -> tuple[Tensor, Tensor]:
    """Select entries above a threshold, or at least the k largest, and their pairs of items with different labels."""
    if threshold == -torch.inf:
        block.masked_fill_(labels[ids[0], None] == labels[ids[1]], -torch.inf)
        # The k-th largest row maximum is a lower bound of the k-th largest entry, where there are k rows.
        candidates = block.amax(1) if k <= len(block) else block.flatten()
        chosen = block >= candidates.topk(min(k, len(candidates))).values[-1]
    else:
        chosen = block > threshold
    rows, columns = chosen.nonzero(as_tuple=True)
    pairs = torch.stack([ids[0][rows], ids[1][columns]], dim=1)
    different = labels[pairs[:, 0]] != labels[pairs[:, 1]]
    return block[rows, columns][different], pairs[different]
