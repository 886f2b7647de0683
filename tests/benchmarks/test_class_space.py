"""The page of class space says what its stored table says, and each model is measured beside both controls."""

from helpers.sweep.results import load_bundled_results
from tests.benchmarks.class_space import IMAGES, PANELS, PICTURE, REPORT, select, write_report


def test_the_page_shows_the_stored_table():
    results = load_bundled_results("class_space")
    assert REPORT.read_text() == write_report(results)
    assert PICTURE.is_file()
    for model in IMAGES:
        for quantity, control in PANELS:
            table = select(results, model, quantity, control)
            assert table["layer"].tolist() == [0, 1, 2, 3]
            assert (table["low"] <= table["difference"]).all() and (table["difference"] <= table["high"]).all()
