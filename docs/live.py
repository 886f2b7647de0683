"""Write the front page of the site, which runs a Vision Transformer in the browser.

``docs/live`` holds its files: the engine (``product.js``, ``model.js``, ``walk.js``, ``worker.js``) and the page. What
they need of the bundled models is written here as JavaScript, because a page opened from disk may load nothing else.
"""

import base64
import json
import shutil
from pathlib import Path
from string import Template

import numpy as np
from cards import write_cards
from safetensors.numpy import load_file

from helpers.datasets import load_digits

ROOT = Path(__file__).resolve().parents[1]
MODEL = "vit-digits"
DIGITS = [0, 1, 2, 17, 4, 5, 6, 7, 14, 9]  # held-out digits 0 to 9; the 3 and the 8 are those of notebook 02


def write_front_page(site: Path) -> None:
    """Write the front page of a built site and all that it loads, beside the pages that Sphinx wrote."""
    folder = site / "_static" / "live"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (ROOT / "docs" / "live").glob("*.[jc]s*"):
        shutil.copyfile(path, folder / path.name)
    (folder / f"{MODEL}.js").write_text(model_script(MODEL))
    (folder / "digits.js").write_text(digits_script())
    page = Template((ROOT / "docs" / "live" / "page.html").read_text())
    (site / "index.html").write_text(page.substitute(cards=write_cards(folder)))


def digits_script() -> str:
    """Write ten digits as a script that sets ``liveDigits``: 28 x 28 bytes each, in base64."""
    images = load_digits("test").images[DIGITS]
    return f"const liveDigits = {json.dumps(encode((255 * images).round().astype(np.uint8)))};\n"


def model_script(name: str) -> str:
    """Write a bundled ViT as a script: its two configurations, and its weights as float32 in base64.

    Returns:
        JavaScript that sets ``transformerModels[name]``.
    """
    folder = ROOT / "data" / "models" / name
    weights = load_file(folder / "model.safetensors")
    data = {
        "config": json.loads((folder / "config.json").read_text()),
        "processor": json.loads((folder / "preprocessor_config.json").read_text()),
        "sizes": {key: array.size for key, array in weights.items()},
        "weights": encode(np.concatenate([array.ravel() for array in weights.values()])),
    }
    return f"(globalThis.transformerModels ??= {{}})[{json.dumps(name)}] = {json.dumps(data)};\n"


def encode(array: np.ndarray) -> str:
    """Write the bytes of an array in base64, little-endian."""
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
