"""How results are displayed in a notebook."""

from __future__ import annotations

import html

import pandas as pd

DISPLAYED_ROWS = 20


def table_html(table: pd.DataFrame, note: str, number_format: str = "{:.3g}", index: bool = True) -> str:
    """Return the first 20 rows of a table above a note, as HTML in which every text is escaped."""
    rows = table.head(DISPLAYED_ROWS).to_html(index=index, border=0, float_format=number_format.format)
    if len(table) > DISPLAYED_ROWS:
        note = f"{note}; {len(table):,} rows, the first {DISPLAYED_ROWS} shown"
    return f"{rows}<p style='font-size: 85%'>{html.escape(note)}</p>"
