"""The ViT adapter: real input and bad input, any ViT by folder or hub id, and the bundled model's quality."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

from data.training.vision import accuracy
from helpers import WalkSettings, leave_class, walk_class
from helpers.adapters import ViTAdapter
from helpers.datasets import DatasetNotFoundError, load_mnist
from helpers.resources import MODELS, ModelNotFoundError


@pytest.fixture(scope="session")
def colour_folder(tmp_path_factory):
    """A ViT for 24 x 24 colour images in 8 x 8 patches, random weights, with a normalisation per channel."""
    folder = tmp_path_factory.mktemp("colour-vit")
    torch.manual_seed(0)
    config = ViTConfig(
        image_size=24, patch_size=8, num_channels=3, hidden_size=192, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, num_labels=5, initializer_range=0.2,
    )  # fmt: skip
    ViTForImageClassification(config).eval().save_pretrained(folder)
    ViTImageProcessorPil(
        size={"height": 24, "width": 24}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.25, 0.3]
    ).save_pretrained(folder)
    return folder


def test_bundled_model_is_good_and_small(vit, digits):
    assert accuracy(vit.model, digits) >= 0.98
    size = sum(file.stat().st_size for file in (MODELS / "vit-digits").iterdir())
    assert size < 2_000_000
    assert not list((MODELS / "vit-digits").glob("*.bin"))


def test_bundled_model_reads_mnist(vit):
    if not os.environ.get("HELPERS_DATASETS"):
        pytest.skip("HELPERS_DATASETS is not set: no local MNIST")
    try:
        mnist = load_mnist("test")
    except DatasetNotFoundError as error:
        pytest.skip(str(error))
    assert accuracy(vit.model, mnist) >= 0.98


def test_twenty_digits_stay_in_their_class_and_can_leave_it(vit, digits):
    for image in digits.images[:20]:
        x = vit.encode(image)
        f = vit.output_map(x)
        far = 2 * float(x.norm())
        held = walk_class(f, x, travel=far)
        assert held.travel >= far
        assert held.drift.max() <= 1e-4
        out = leave_class(f, x)
        assert out.classes[-1] != out.classes[0]
        assert out.travel < 0.2 * far


def test_a_pixel_walk_stays_in_the_box_and_means_what_it_shows(vit, digits):
    pixels = vit.in_pixels()
    z, other = pixels.encode(digits.images[17]), pixels.encode(digits.images[14])
    path = walk_class(pixels.output_map(z), z, travel=3.0, towards=other, bounds=pixels.bounds(z))
    assert pixels.bounds(z).contains(path.points)
    assert path.drift.max() <= 1e-4
    assert (path.points[-1] - other).norm() < 0.65 * (z - other).norm()
    shown = vit.predict(vit.encode(pixels.decode(path.points[-1])))
    assert torch.allclose(shown, path.outputs[0].exp(), atol=1e-4)


def test_only_chosen_patches_change_in_the_picture(vit, digits):
    pixels = vit.in_pixels()
    z = pixels.encode(digits.images[17])
    f = pixels.output_map(z, parts=[24])
    path = walk_class(f, f.start, travel=1.0, bounds=pixels.bounds(z), settings=WalkSettings(persistence=0.5))
    change = np.abs(pixels.decode(f.complete(path.points))[-1] - digits.images[17])
    inside = change[12:16, 12:16].sum()
    assert inside > 0
    assert change.sum() == pytest.approx(inside)


def test_any_vit_loads_from_a_folder(colour_folder):
    adapter = ViTAdapter.load(colour_folder)
    image = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(3)).numpy()
    processed = adapter.processor(np.round(image * 255).astype(np.uint8), return_tensors="pt")["pixel_values"]
    expected = adapter.model(pixel_values=processed).logits[0].log_softmax(-1)
    for seen_from in (adapter, adapter.in_pixels()):
        x = seen_from.encode(np.round(image * 255) / 255)
        assert torch.allclose(seen_from.output_map(x)(x), expected, atol=1e-4)
        assert np.allclose(seen_from.decode(x), image, atol=1 / 255)
        assert seen_from.bounds(x).contains(x)
    assert adapter.grid == (3, 3)
    assert len(adapter.class_names) == 5
    move = torch.randn(9, 192, generator=torch.Generator().manual_seed(4))
    assert adapter.decode_move(move).shape == (3, 24, 24)


@pytest.mark.parametrize(("size", "shape", "grid"), [([32, 48], (32, 48), (4, 6)), (35, (35, 35), (4, 4))])
def test_images_need_not_be_square_nor_a_multiple_of_the_patches(tmp_path, size, shape, grid):
    config = ViTConfig(image_size=size, patch_size=8, hidden_size=192, num_hidden_layers=1, num_attention_heads=2)
    ViTForImageClassification(config).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": shape[0], "width": shape[1]}).save_pretrained(tmp_path)
    adapter = ViTAdapter.load(tmp_path)
    photo = Image.fromarray(np.arange(60 * 40 * 3, dtype=np.uint8).reshape(60, 40, 3))
    point = adapter.encode(photo)
    expected = adapter.model(**adapter.processor(images=photo, return_tensors="pt")).logits[0].log_softmax(-1)
    assert adapter.grid == grid
    assert torch.allclose(adapter.log_probabilities(point), expected, atol=1e-5)
    assert torch.allclose(adapter.encode(adapter.decode(point)), point, atol=1e-4)


def test_a_pil_image_of_any_size_and_mode_is_fitted(vit, colour_folder):
    photo = Image.fromarray(np.arange(60 * 40 * 3, dtype=np.uint8).reshape(60, 40, 3))
    assert vit.encode(photo).shape == (49, 48)
    assert ViTAdapter.load(colour_folder).encode(photo.convert("L")).shape == (9, 192)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((32, 32)), r"has shape \(1, 32, 32\), vit-digits takes \(1, 28, 28\)"),
        (np.zeros((3, 28, 28)), r"has shape \(3, 28, 28\)"),
        (np.zeros(28), "has shape"),
        (np.ones((28, 28), dtype=np.uint8), "holds uint8, wanted floating-point"),
        (Image.new("F", (28, 28)), "mode 'F'"),
        (Image.new("L", (0, 4)), "size"),
        (np.full((28, 28), 255.0), r"values run from 255 to 255, must lie in \[0, 1\]"),
        (np.full((28, 28), -0.5), "must lie in"),
        (np.full((28, 28), np.nan), "raw: 784 of 784 values are NaN"),
    ],
)
def test_bad_images_are_named(vit, raw, message):
    with pytest.raises(ValueError, match=message):
        vit.encode(raw)


def test_ink_on_a_transparent_ground_is_not_lost(vit):
    picture = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (10, 10, 18, 18))
    shown = vit.in_pixels().decode(vit.in_pixels().encode(picture))
    assert shown[0, 0] == 1
    assert shown[14, 14] == 0


def test_a_processor_that_does_not_normalise_is_obeyed(colour_folder, tmp_path):
    folder = tmp_path / "plain"
    shutil.copytree(colour_folder, folder)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    adapter = ViTAdapter.load(folder)
    image = np.full((3, 24, 24), 0.6)
    expected = adapter.model(pixel_values=torch.full((1, 3, 24, 24), 0.6)).logits[0].softmax(-1)
    assert torch.allclose(adapter.predict(adapter.encode(image)), expected, atol=1e-5)


def test_a_model_without_its_head_is_refused(colour_folder, tmp_path):
    folder = tmp_path / "headless"
    shutil.copytree(colour_folder, folder)
    kept = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelNotFoundError, match=r"no weights for classifier\.bias, classifier\.weight"):
        ViTAdapter.load(folder)


def test_an_unknown_name_says_what_is_bundled(tmp_path):
    with pytest.raises(ModelNotFoundError, match="vit-digits") as caught:
        ViTAdapter.load("nobody/no such model")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelNotFoundError, match="cannot load the folder"):
        ViTAdapter.load(tmp_path)
    with pytest.raises(ValueError, match="name="):
        ViTAdapter.load(" ")


def test_another_architecture_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="is a 'bert' model, wanted 'vit'"):
        ViTAdapter.load(tmp_path)


def test_without_a_network_a_cached_model_loads_and_for_another_the_error_names_the_bundled_one(
    colour_folder, tmp_path
):
    model = tmp_path / "models--someone--colour-vit"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("a" * 40)
    (model / "snapshots").mkdir()
    (model / "snapshots" / ("a" * 40)).symlink_to(colour_folder)
    names = ("someone/colour-vit", "google/vit-base-patch16-224")
    code = (
        f"from helpers.adapters import ViTAdapter\nfor name in {names}:\n    print(ViTAdapter.load(name).class_names)"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ran.stdout.count("LABEL_4") == 1, ran.stderr
    last = ran.stderr.strip().splitlines()[-1]
    assert "ModelNotFoundError" in last
    assert "the hub cannot be reached" in last
    assert "vit-digits" in last
