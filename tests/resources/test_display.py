"""Tables as HTML: a limit on the rows, and every text escaped."""

import pandas as pd

from helpers.resources.display import DISPLAYED_ROWS, table_html


def test_a_long_table_says_how_many_rows_it_has():
    table = pd.DataFrame({"x": range(DISPLAYED_ROWS + 1)})
    assert "; 21 rows, the first 20 shown</p>" in table_html(table, "note")
    assert table_html(table, "note").count("<tr>") == DISPLAYED_ROWS
    assert "shown" not in table_html(table.head(DISPLAYED_ROWS), "note")


def test_every_text_is_escaped():
    shown = table_html(pd.DataFrame({"<i>": ["<b>"]}, index=["<s>"]), "<b>x</b> & 'y'")
    assert not any(tag in shown for tag in ("<i>", "<b>", "<s>"))
    assert "&lt;b&gt;x&lt;/b&gt; &amp;" in shown


def test_numbers_take_the_format():
    shown = table_html(pd.DataFrame({"share": [0.1234]}), "", "{:.1%}", index=False)
    assert "12.3%" in shown
