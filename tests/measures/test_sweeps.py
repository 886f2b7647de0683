"""Tables of a sweep: means over inputs, not over walks, and intervals that know it."""

import pandas as pd
import pytest

from helpers import measures


def table(values):
    """A row a walk from (inputs, input, algorithm, value)."""
    rows = [("mnist", 1.0, index, name, value) for index, name, value in values]
    return pd.DataFrame(rows, columns=["inputs", "eta", "input", "algorithm", "swaps"])


def test_an_input_counts_once_however_many_walks_it_has():
    found = measures.tabulate(table([(0, "SiMEC", 1.0)] * 9 + [(1, "SiMEC", 3.0)]), "swaps")
    assert list(found.columns) == ["inputs", "eta", "algorithm", "mean", "low", "high", "number"]
    assert found.iloc[0].tolist() == ["mnist", 1.0, "SiMEC", 2.0, 1.0, 3.0, 2]


def test_not_a_number_is_left_out_and_equal_inputs_have_no_spread():
    found = measures.tabulate(table([(i, "SiMEC", 5.0) for i in range(4)] + [(9, "SiMEC", float("nan"))]), "swaps")
    assert found.loc[0, ["mean", "low", "high", "number"]].tolist() == [5.0, 5.0, 5.0, 4]


def test_one_input_has_no_interval():
    found = measures.tabulate(table([(0, "SiMEC", 5.0)]), "swaps")
    assert found.loc[0, "mean"] == 5.0
    assert found.loc[0, ["low", "high"]].isna().all()


def test_a_contrast_is_paired_by_input():
    values = [(i, "SiMEC", 10.0 * i) for i in range(6)] + [(i, "SiMExp", 10.0 * i + 2) for i in range(6)]
    found = measures.contrast(table(values), "swaps", "SiMExp", "SiMEC")
    assert found.loc[0, ["mean", "low", "high"]].tolist() == pytest.approx([2.0, 2.0, 2.0]), (
        "inputs differ, pairs do not"
    )


def test_published_figures_have_a_row_a_data_set():
    found = measures.published(measures.RANKING_CHANGES)
    assert len(found) == 16
    chosen = found[(found["inputs"] == "cifar10") & (found["eta"] == 10) & (found["algorithm"] == "SiMExp")]
    assert chosen["published"].item() == 18.7
    assert set(measures.published(measures.VOLUME_RATIOS)["published"]) == {99, 158, 38, 8.8}
