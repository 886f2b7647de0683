"""The largest entries of a very large factored matrix, without forming it."""

from __future__ import annotations

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.weights import FactoredMatrix

ROWS, COLUMNS = 2048, 4096  # block of pairs scored at once: 32 MB
SLOW = 20_000  # items from which a search shows a progress bar


def best_pairs(scores: FactoredMatrix, same: Tensor, k: int) -> tuple[Tensor, Tensor, float]:
    """Find the k largest entries of a tall factored matrix, exactly, in blocks; entries of two alike are passed over.

    Args:
        scores: (n, n); the tighter its factors' rows (``balanced``), the more blocks are ruled out.
        same: a label an item, (n,): entries whose row and column have one label do not count.
        k: how many, at most the entries that count.

    Returns:
        The entries (k,), largest first; their rows and columns (k, 2); the share of all entries that was computed.
    """
    (left, row_of, long), (right, column_of, wide) = _by_length(scores.left), _by_length(scores.right)
    best, where = left.new_empty(0), torch.empty(0, 2, dtype=torch.long, device=left.device)
    computed, bar = 0, tqdm(total=len(left), disable=len(left) < SLOW, unit=" items", leave=False, mininterval=0.5)
    buffer = left.new_empty(ROWS * COLUMNS)  # one for all blocks: fresh memory costs more than the product
    for i in range(0, len(left), ROWS):
        for j in range(0, len(right), COLUMNS):
            least = float(best[-1]) if len(best) == k else -torch.inf
            if float(long[i] * wide[j]) <= least:
                break  # this row's blocks only get shorter from here
            upper, lower = left[i : i + ROWS], right[j : j + COLUMNS]
            block = buffer[: len(upper) * len(lower)].view(len(upper), len(lower))
            computed += torch.mm(upper, lower.T, out=block).numel()
            if float(block.amax()) <= least:
                continue
            rows, cols = row_of[i : i + ROWS], column_of[j : j + COLUMNS]
            found, pairs = _candidates(block, rows, cols, same, least, k)
            best, order = torch.cat([best, found]).sort(descending=True, stable=True)
            best, where = best[:k], torch.cat([where, pairs])[order[:k]]
        bar.update(len(left[i : i + ROWS]))
    bar.close()
    return best, where, computed / (len(left) * len(right))


def _by_length(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort rows by length, longest first: rows, where they were, their lengths rounded up."""
    lengths, order = rows.norm(dim=1).sort(descending=True)
    return rows[order], order, lengths * (1 + 1e-5)


def _candidates(block: Tensor, rows: Tensor, cols: Tensor, same: Tensor, least: float, k: int) -> tuple[Tensor, Tensor]:
    """Pick the entries of a block above ``least`` whose items differ, at most the k largest."""
    if least == -torch.inf:  # nothing to beat yet: rule out pairs of one item first, then take the largest
        block = block.masked_fill(same[rows, None] == same[cols], -torch.inf)
        chosen = block.flatten().topk(min(k, block.numel())).indices
        chosen = chosen[block.flatten()[chosen] > -torch.inf]
        r, c = chosen // len(cols), chosen % len(cols)
    else:
        r, c = (block > least).nonzero().T
    found, pairs = block[r, c], torch.stack([rows[r], cols[c]], 1)
    different = same[pairs[:, 0]] != same[pairs[:, 1]]
    return found[different], pairs[different]
