"""The site's player and the widgets' views agree, read from their files; tests/browser plays them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stored(load_docs):
    return load_docs("stored")


def test_every_view_gives_what_draws_it(stored):
    for name in stored.VIEWS:
        assert re.findall(r"^return \{ render\b", stored.read_part(name), re.MULTILINE), name


def test_players_know_the_commands_that_need_no_number(stored):
    """A view numbers the commands of its reader; the others it sends by itself."""
    sent = set(re.findall(r'\bsend\(\{ do: "(\w+)"', stored.read_part("walker")))
    assert sent == {"send_frames", "stop"}
    for name in ("walks", "plane_walk"):
        text = (ROOT / "docs" / "stored" / f"{name}.js").read_text(encoding="utf-8")
        assert sent == set(re.findall(r'command === "(\w+)"\) return', text)), name
