"""The published tables of arXiv 2410.06019, and measured means beside them, cell by cell.

The tables are those of the supplement, and the differences between saved points that come with the released code. Table
1 of the paper itself is the mean of "all", "one" and "q2" of ``from_embeddings``.
"""

from __future__ import annotations

import pandas as pd

from helpers.measures.sweeps import tabulate_means
from helpers.resources import data_folder

INPUTS = {"MNIST": "mnist", "CIFAR10": "cifar10", "WinoBias": "winobias", "MHS": "reviews"}  # the last stands for hate
# speech, of which this project has none
CELL = ["inputs", "algorithm", "eta", "parts"]


def load_published(table: str) -> pd.DataFrame:
    """Read a published table; the column ``inputs`` names our data set that stands for the paper's.

    Raises:
        ValueError: there is no such table.
    """
    files = {file.stem: file for file in sorted((data_folder() / "published").glob("*.csv"))}
    if table not in files:
        raise ValueError(f"table={table!r}: must be one of {', '.join(files)}")
    rows = pd.read_csv(files[table])
    rows.insert(0, "inputs", rows.pop("data").map(INPUTS))
    return rows.astype({"eta": float}) if "eta" in rows else rows


def compare_with_published(results: pd.DataFrame, column: str, table: str, quantity: str) -> pd.DataFrame:
    """Set measured means beside published ones: one row per cell that both have.

    Every variant of a walk ("released SiMEC, random signs") is compared with what is published for it ("SiMEC").

    Args:
        results: of a sweep, with the columns of ``CELL``.
        column: of the results.
        table: as in ``load_published``.
        quantity: published as ``{quantity}_mean`` and ``{quantity}_sd`` over inputs.

    Returns:
        The columns of ``tabulate_means``, variant_of, published, sd, ``in_interval`` (the published mean lies within
        the measured 95% interval) and ``in_two_sd`` (the measured mean lies within two published standard deviations).
    """
    columns = {"algorithm": "variant_of", f"{quantity}_mean": "published", f"{quantity}_sd": "sd"}
    key = [columns.get(name, name) for name in CELL]
    published = load_published(table).rename(columns=columns)[[*key, "published", "sd"]]
    measured = tabulate_means(results, column, CELL)
    variants = measured["algorithm"].str.extract(r"(SiMEC|SiMExp)", expand=False)
    cells = measured.assign(variant_of=variants).merge(published, on=key)
    return cells.assign(
        in_interval=cells["published"].between(cells["low"], cells["high"]),
        in_two_sd=(cells["mean"] - cells["published"]).abs() <= 2 * cells["sd"],
    )
