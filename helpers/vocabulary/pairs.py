"""The largest entries of a very large factored matrix, without forming it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from helpers.weights import FactoredMatrix

ROWS, COLUMNS = 1024, 2048  # size of a block of scores: 8 MB in float32, which a processor's cache holds
# The largest error of a score, relative to the product of the lengths of its two rows, with a margin for sums.
ROUNDING = {torch.bfloat16: 2**-6, torch.float32: 1e-5, torch.float64: 1e-5}  # bfloat16 rounds three times by 2**-8

Labels = tuple[Int[Tensor, " m"], Int[Tensor, " n"]]  # of the rows and of the columns


def find_largest_pairs(
    scores: FactoredMatrix, labels: Labels, k: int
) -> tuple[Float[Tensor, " k"], Int[Tensor, "k 2"], float]:
    """Find the k largest entries of a tall (m, n) matrix exactly, block by block.

    Entries whose row and column have the same label do not count. A block has rows and columns of similar length, and
    only as many columns as can exceed the k-th largest entry so far with the block's longest row (Cauchy-Schwarz);
    balanced factors (``balance``) leave fewer of them. Where the processor is faster in bfloat16, blocks are computed
    in it, and rows that may exceed the k-th largest entry, given the largest rounding error, again in full precision.

    Returns:
        The entries, largest first; their rows and columns; the share of all entries that was computed.
    """
    left, row_ids, row_lengths = _sort_by_length(scores.left)
    right, column_ids, column_lengths = _sort_by_length(scores.right)
    dtype = torch.bfloat16 if is_fast_in_bfloat16(left) else left.dtype
    rounded_left, rounded_right, margin = left.to(dtype), right.to(dtype), ROUNDING[dtype]
    values, pairs = left.new_empty(0), torch.empty(0, 2, dtype=torch.long, device=left.device)
    buffer = left.new_empty(ROWS * COLUMNS, dtype=dtype)  # fresh memory takes longer than the product
    computed = 0
    for i in tqdm(range(0, len(left), ROWS), unit=f" times {ROWS:,} items", leave=False, delay=2):
        upper = rounded_left[i : i + ROWS]
        for j in range(0, len(right), COLUMNS):
            threshold = float(values[-1]) if len(values) == k else -torch.inf
            bounds = row_lengths[i] * column_lengths[j : j + COLUMNS]
            columns = slice(j, j + int((bounds * (1 + margin) > threshold).sum()))
            lower = rounded_right[columns]
            if len(lower) == 0:
                break  # the other blocks of these rows have shorter columns
            block = torch.mm(upper, lower.T, out=buffer[: len(upper) * len(lower)].view(len(upper), len(lower)))
            computed += block.numel()
            rows = i + _find_rows_above(block, threshold - margin * float(bounds[0]))
            if len(rows) > 0:
                exact, ids = left[rows] @ right[columns].T, (row_ids[rows], column_ids[columns])
                new_values, new_pairs = _select(exact, ids, labels, threshold, k)
                values, order = torch.cat([values, new_values]).sort(descending=True, stable=True)
                values, pairs = values[:k], torch.cat([pairs, new_pairs])[order[:k]]
    return values, pairs, computed / (len(left) * len(right))


def _sort_by_length(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort rows by length, longest first: the rows, their indices before, and their lengths."""
    lengths, order = rows.norm(dim=1).sort(descending=True)
    return rows[order], order, lengths


def is_fast_in_bfloat16(rows: Tensor) -> bool:
    """Say whether the processor has instructions for bfloat16; products of float32 rows are then four times faster."""
    capabilities = torch.cpu.get_capabilities()
    native = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return rows.device.type == "cpu" and rows.dtype == torch.float32 and native


def _find_rows_above(block: Tensor, threshold: float) -> Tensor:
    """Find the rows of a block that hold an entry above a threshold, and with bfloat16 perhaps one equal to it."""
    if threshold > 0 and block.dtype == torch.bfloat16:
        # Positive bfloat16 numbers have the order of the integers with the same bits, which compare ten times faster.
        bits = int(torch.tensor(threshold).bfloat16().view(torch.int16))
        return (block.view(torch.int16).amax(1) >= bits).nonzero()[:, 0]
    return (block.amax(1) > threshold).nonzero()[:, 0]


def _select(
    block: Tensor, ids: tuple[Tensor, Tensor], labels: Labels, threshold: float, k: int
) -> tuple[Tensor, Tensor]:
    """Select entries above a threshold, or at least the k largest, and their pairs of items with different labels."""
    if threshold == -torch.inf:
        block.masked_fill_(labels[0][ids[0], None] == labels[1][ids[1]], -torch.inf)
        # The k-th largest row maximum is a lower bound of the k-th largest entry, where there are k rows.
        candidates = block.amax(1) if k <= len(block) else block.flatten()
        chosen = block >= candidates.topk(min(k, len(candidates))).values[-1]
    else:
        chosen = block > threshold
    rows, columns = chosen.nonzero(as_tuple=True)
    pairs = torch.stack([ids[0][rows], ids[1][columns]], dim=1)
    different = labels[0][pairs[:, 0]] != labels[1][pairs[:, 1]]
    return block[rows, columns][different], pairs[different]
