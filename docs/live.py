"""Write the front page of the site, which runs a Vision Transformer in the browser.

``docs/live`` holds its files: the engine (``product.js``, ``model.js``, ``walk.js``, ``worker.js``) and the page. What
they need of the bundled models is written here as JavaScript, because a page opened from disk may load nothing else.
"""

import base64
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[1]


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
