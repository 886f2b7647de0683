"""What a wheel must be able to do outside of a clone; run by the tests of the wheel, quick and fresh."""

from pathlib import Path

import helpers
from helpers.adapters import ViTAdapter
from helpers.datasets import load_digits, read_sentences
from helpers.measures import load_published
from helpers.resources import ModelNotFoundError, bundled_models
from helpers.sweep import load_bundled_results
from helpers.weights import load_weights

adapter = ViTAdapter.load("vit-digits")
assert adapter.predict(adapter.encode(load_digits("test").images[0])).sum() > 0.99
assert load_weights("gpt2-reviews").W_E.shape == (8192, 192)
assert len(read_sentences("review")) == 200
assert len(load_bundled_results()) == 40 * 54 + 20 * 18  # 40 cells of images and 20 of sentences
assert len(load_published("distance")) == 40
message = ""
try:
    ViTAdapter.load("no-such-model")
except ModelNotFoundError as error:
    message = str(error)
assert "vit-digits" in bundled_models() and all(name in message for name in bundled_models())
print(Path(helpers.__file__).parent)
