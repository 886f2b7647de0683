"""The pages of ``make app`` in a real Chromium: each shows a walker without any code, and the walker walks."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser.conftest import find_free_port, serve

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "runs" / "apps"  # of what was seen; git ignores it
APPS = sorted(path.stem for path in (ROOT / "apps").glob("*.ipynb"))
FIRST_WORK = {  # app -> button to press, and what is seen then
    "plane": ("step", re.compile("point 1 of 1")),
    "image": ("step", re.compile("point 1 of 1")),
    "sentence": ("step", re.compile("point 1 of 1")),
    "neurons": (None, re.compile("neuron: value")),
}

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all


def read_command(port):
    """Read from the Makefile how ``make app`` starts Voilà, and let this Python do it at a port."""
    options = f"APP=--no-browser --port={port}"
    recipe = subprocess.run(["make", "--dry-run", "app", options], cwd=ROOT, capture_output=True, text=True, check=True)
    started = recipe.stdout[recipe.stdout.index("OMP_NUM_THREADS") :].replace("\\\n", " ")
    variable, program, *arguments = shlex.split(started)
    assert variable == "OMP_NUM_THREADS=1" and program.endswith("/voila")
    return [sys.executable, "-m", "voila", *(str(ROOT / each) if each == "apps" else each for each in arguments)]


@pytest.mark.skipif(find_spec("voila") is None, reason="needs Voilà: make voila")
def test_every_app_shows_its_widgets_and_no_code(page, tmp_path):
    port, own = find_free_port(), {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config", "OMP_NUM_THREADS": "1"}
    address = f"http://127.0.0.1:{port}"
    with serve(read_command(port), f"{address}/static/none", tmp_path, own):
        page.goto(address)
        assert page.get_by_role("link").all_inner_texts() == [f"{name}.ipynb" for name in APPS]
        for name, (button, seen) in FIRST_WORK.items():
            page.goto(f"{address}/voila/render/{name}.ipynb")
            page.get_by_role("heading", level=1).wait_for()
            if button:
                page.get_by_role("button", name=button, exact=True).first.click()
            page.get_by_text(seen).first.wait_for()
            assert not page.get_by_text("from helpers").count(), "the code is not shown"
            if os.environ.get("WIDGET_PICTURES"):
                page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
        page.goto("about:blank")  # before the server ends, or the page would complain


def test_each_app_has_a_test_and_little_code():
    assert sorted(FIRST_WORK) == APPS
