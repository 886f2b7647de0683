"""Tables show themselves, say how they were read, and escape every name."""

from dataclasses import replace

from helpers.vocabulary import top_pairs, top_tokens


def test_tables_show_themselves_and_their_note(w):
    table = top_tokens(w, w.W_out(3)[0], 30)
    assert len(table) == 30
    assert "30 rows, the first 20 shown" in table._repr_html_()
    for part in ("gpt2-reviews", "transpose", "layer norms folded in", "200 times", "offensive words left out"):
        assert part in table.note
    pairs = top_pairs(w, w.W_OV(3, 5), 10)
    assert "→" in repr(pairs)
    assert len(pairs.table) == 10


def test_names_from_outside_are_escaped_in_html(w):
    strange = replace(w, name="<b>x</b>")
    for table in (top_tokens(strange, w.W_out(0)[0], 2), top_pairs(strange, w.W_OV(0, 0), 2)):
        assert "&lt;b&gt;x&lt;/b&gt;" in table._repr_html_()
        assert "<b>" not in table._repr_html_()
    named = replace(top_tokens(w, w.W_out(0)[0], 1), tokens=["<i>"])
    assert "<i>" not in named._repr_html_()
