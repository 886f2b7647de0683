"""The published tables are complete, and measured means are set beside the cell that they belong to."""

import itertools

import pandas as pd
import pytest

from helpers import measures
from helpers.measures.published import CELL, INPUTS
from helpers.resources import data_folder

TABLES = sorted(file.stem for file in (data_folder() / "published").iterdir())


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_read_and_names_each_cell_once(table):
    rows = measures.load_published(table)
    assert rows["inputs"].isin(INPUTS.values()).all()
    keys = [name for name in (*CELL, "from") if name in rows]
    assert not rows.duplicated(keys).any()


@pytest.mark.parametrize("table", ["from_embeddings", "from_interpretations", "catch_up", "distance", "difference"])
def test_the_large_tables_have_every_cell(table):
    cells = set(measures.load_published(table)[CELL].itertuples(index=False, name=None))
    walks = [("SiMEC", 1.0), ("SiMEC", 10.0), ("SiMExp", 1.0), ("SiMExp", 10.0)]
    images = itertools.product(("mnist", "cifar10", "reviews"), walks, ("all", "one", "q2"))
    wanted = {(data, *walk, parts) for data, walk, parts in images}
    assert cells == wanted | {("winobias", *walk, "target-word") for walk in walks}


def test_the_papers_first_table_is_the_mean_over_the_choices_of_parts():
    table = measures.load_published("from_embeddings")
    means = table.groupby(CELL[:3])["ranking_changes_mean"].mean()
    assert means["mnist", "SiMExp", 1.0] == pytest.approx(1.31, abs=0.005)
    assert means["cifar10", "SiMExp", 10.0] == pytest.approx(18.7, abs=0.005)
    assert means["reviews", "SiMExp", 10.0] == pytest.approx(3.64, abs=0.005)


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match=f"table='volumes': must be one of {', '.join(TABLES)}"):
        measures.load_published("volumes")


def test_measured_means_are_compared_cell_by_cell():
    rows = [("mnist", "SiMExp", 1.0, "all", i, value) for i, value in enumerate([1.0, 2.0, 3.0, 2.0])]
    rows += [("mnist", "SiMExp", 10.0, "one", i, 30.0) for i in range(4)]
    rows += [("mnist", "released SiMExp, random signs", 10.0, "one", i, 3.0) for i in range(4)]
    rows += [("mnist", "corrected", 10.0, "one", i, 0.0) for i in range(4)]
    results = pd.DataFrame(rows, columns=[*CELL, "input", "swaps"])
    cells = measures.compare_with_published(results, "swaps", "from_embeddings", "ranking_changes")
    assert cells["published"].tolist() == [2.067, 3.033, 3.033], "walks that are not published are left out"
    assert cells["algorithm"].tolist() == ["SiMExp", "SiMExp", "released SiMExp, random signs"]
    assert cells["sd"].tolist() == [1.672, 4.701, 4.701]
    assert cells["in_interval"].tolist() == [True, False, False]
    assert cells["in_two_sd"].tolist() == [True, False, True]
