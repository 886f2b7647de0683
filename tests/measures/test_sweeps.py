"""Tables of a sweep: means and intervals over inputs, not over walks."""

import pandas as pd
import pytest

from helpers import measures


def table(values):
    """One row per walk from (input, algorithm, value)."""
    rows = [("mnist", 1.0, index, name, value) for index, name, value in values]
    return pd.DataFrame(rows, columns=["inputs", "eta", "input", "algorithm", "swaps"])


def test_an_input_counts_once_however_many_walks_it_has():
    means = measures.tabulate_means(table([(0, "SiMEC", 1.0)] * 9 + [(1, "SiMEC", 3.0)]), "swaps")
    assert list(means.columns) == ["inputs", "eta", "algorithm", "mean", "low", "high", "number"]
    assert means.iloc[0].tolist() == ["mnist", 1.0, "SiMEC", 2.0, 1.0, 3.0, 2]


def test_nan_is_left_out_and_equal_inputs_have_no_spread():
    means = measures.tabulate_means(
        table([(i, "SiMEC", 5.0) for i in range(4)] + [(9, "SiMEC", float("nan"))]), "swaps"
    )
    assert means.loc[0, ["mean", "low", "high", "number"]].tolist() == [5.0, 5.0, 5.0, 4]


def test_one_input_has_no_interval():
    means = measures.tabulate_means(table([(0, "SiMEC", 5.0)]), "swaps")
    assert means.loc[0, "mean"] == 5.0
    assert means.loc[0, ["low", "high"]].isna().all()


def test_differences_are_paired_by_input():
    values = [(i, "SiMEC", 10.0 * i) for i in range(6)] + [(i, "SiMExp", 10.0 * i + 2) for i in range(6)]
    means = measures.tabulate_differences(table(values), "swaps", "SiMExp", "SiMEC")
    assert means.loc[0, ["mean", "low", "high"]].tolist() == pytest.approx([2.0, 2.0, 2.0]), (
        "inputs differ, pairs do not"
    )
    assert means.loc[0, "p"] == pytest.approx(2 / 2**6), "the smallest that six pairs can have"
    same = measures.tabulate_differences(table(values), "swaps", "SiMEC", "SiMEC")
    assert same.loc[0, "p"] == 1


def test_p_values_are_corrected_for_their_number():
    assert measures.correct_by_holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert measures.correct_by_holm([0.9, 0.8]) == [1, 1]
