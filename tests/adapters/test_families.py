"""The contract of every family: the library's own outputs at every layer, exact derivatives, threads, decoding."""

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from helpers import PullbackMetric, jacobian
from helpers.adapters import ImageAdapter, load_adapter
from helpers.adapters.families import FAMILIES, MASKED_WORD, NEXT_WORD, TOKEN_CLASSES, model_classes
from tests.adapters.families import every_model_class, make_model, save_processor, save_tokenizer

PROMPTS = ["film", "dog"]
LABELLED_TOKEN = 1
PHOTOS = [
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))
    for height, width in ((37, 51), (24, 24), (200, 31))
]
TEXTS = ["Films", "The acting was superb and the story is very", "The plot is thin but the music is lovely. " * 9]
PAIR = ("a warm and funny film", "it has two fine actors")
MASK = " [MASK]"


def load(folder, model_class, dtype=torch.float64):
    prompts = PROMPTS if model_class in ("CLIPModel", "SiglipModel") else None
    adapter = load_adapter(folder, dtype=dtype, prompts=prompts)
    return adapter.at(LABELLED_TOKEN) if getattr(adapter, "task", "") == TOKEN_CLASSES else adapter


@pytest.fixture(scope="module", params=every_model_class())
def folder(request, tmp_path_factory):
    return make_model(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def adapter(folder):
    return load(folder, folder.name.rstrip("0123456789"))


def raw_inputs(adapter):
    """Photographs of odd sizes, or texts of several lengths, and a pair where the model reads pairs."""
    if isinstance(adapter, ImageAdapter):
        return PHOTOS
    if adapter.task == MASKED_WORD:
        return [text + MASK for text in TEXTS] + [(PAIR[0], PAIR[1] + MASK)]
    return TEXTS if adapter.task in (NEXT_WORD, TOKEN_CLASSES) else [*TEXTS, PAIR]


def library_outputs(adapter, raw):
    """Run the model of the library on its own preprocessing."""
    if isinstance(adapter, ImageAdapter):
        pixels = adapter.processor(images=raw, return_tensors="pt")["pixel_values"].to(adapter.dtype)
        output = adapter.model(pixel_values=pixels, **adapter._prompts)
        return adapter.head.to_outputs((output["logits_per_image"] if adapter._prompts else output["logits"])[0])
    texts = [raw] if isinstance(raw, str) else raw
    inputs = adapter.tokenizer(*texts, return_tensors="pt")
    if not hasattr(adapter.model.config, "type_vocab_size"):
        inputs.pop("token_type_ids", None)
    logits = adapter.model(**inputs).logits[0]
    if adapter.task == MASKED_WORD:
        logits = logits[inputs["input_ids"][0].tolist().index(adapter.tokenizer.mask_token_id)]
    if adapter.task == TOKEN_CLASSES:
        logits = logits[LABELLED_TOKEN]
    return adapter.head.to_outputs(logits[-1] if adapter.task == NEXT_WORD else logits)


@torch.no_grad()
def test_outputs_are_those_of_the_library_at_every_layer(folder):
    adapter = load(folder, folder.name.rstrip("0123456789"), torch.float32)
    outputs = []
    for raw in raw_inputs(adapter):
        expected = library_outputs(adapter, raw)
        outputs.append(expected)
        for layer in range(adapter.n_layers + 1):
            point = adapter.encode(raw, layer=layer)
            f = adapter.whole_map(point, layer, raw)
            assert torch.allclose(f(point), expected, rtol=0, atol=1e-5), (raw, layer)
        point = adapter.encode(raw)
        assert torch.allclose(adapter.whole_map(point)(point), expected, rtol=0, atol=1e-5), "without the raw input"
        assert len(adapter.class_names) == len(expected)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-3), "the outputs depend on the input"


def test_derivatives_are_exact_in_double_precision(adapter):
    raw, generator = raw_inputs(adapter)[1], torch.Generator().manual_seed(0)
    for layer in range(adapter.n_layers + 1):
        point = adapter.encode(raw, layer=layer)
        f = adapter.output_map(point, range(len(point)), layer=layer, raw=raw)
        rows = jacobian(f, point)[1].flatten(1)
        move = torch.randn(point.shape, generator=generator, dtype=point.dtype)
        near, far = ((f(point + h * move) - f(point - h * move)) / (2 * h) for h in (3e-5, 6e-5))
        numeric = (4 * near - far) / 3  # the error of fourth order, 1e-18, is below that of rounding
        assert torch.allclose(rows @ move.flatten(), numeric, rtol=0, atol=1e-8 * max(1, float(numeric.abs().max())))


def test_the_drift_of_a_null_step_quarters_when_the_step_halves(adapter):
    point = adapter.encode(raw_inputs(adapter)[1])
    f = adapter.output_map(point)
    generator = torch.Generator().manual_seed(1)
    move = torch.randn(f.start.shape, generator=generator, dtype=point.dtype)
    direction = PullbackMetric.at(f, f.start).project_to_kernel(move)
    direction = direction * float(f.start.norm() / direction.norm())
    with torch.no_grad():
        drifts = [float((f(f.start + step * direction) - f(f.start)).abs().max()) for step in (2e-4, 1e-4)]
    assert drifts[0] / drifts[1] == pytest.approx(4, rel=0.1)


def test_eight_threads_at_once_give_the_outputs_of_one(adapter):
    points = [adapter.encode(raw) for raw in raw_inputs(adapter)] * 6
    maps = [adapter.output_map(point) for point in points]
    expected = [jacobian(f, f.start) for f in maps]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda f: jacobian(f, f.start), maps))
    for (outputs, rows), (expected_outputs, expected_rows) in zip(results, expected, strict=True):
        assert torch.equal(outputs, expected_outputs)
        assert torch.allclose(rows, expected_rows, rtol=0, atol=1e-12)


def test_decoding_gives_the_input_back(adapter):
    raws = raw_inputs(adapter)
    if isinstance(adapter, ImageAdapter):
        point = adapter.encode(raws[0])
        again = adapter.encode(adapter.decode(point).astype(float))
        pixels = adapter.channels * adapter.patch_size**2
        if adapter.d_model >= pixels:  # else the pseudo-inverse finds another image of the same point, outside [0, 1]
            assert torch.allclose(again, point, atol=1e-6)
        assert adapter.decode(torch.stack([point, point])).shape == (2, *adapter.decode(point).shape)
        return
    ids = [adapter.token_ids(raw) for raw in raws]
    recovered = [adapter.nearest_ids(adapter.encode(raw)) for raw in raws]
    pairs = [(a, b) for row, found in zip(ids, recovered, strict=True) for a, b in zip(row, found, strict=True)]
    assert sum(a == b for a, b in pairs) / len(pairs) == 1
    assert adapter.ids_of(adapter.encode(raws[-1])) == ids[-1]


def test_the_box_holds_the_point_and_the_names_fit(adapter):
    for raw in raw_inputs(adapter):
        point = adapter.encode(raw)
        assert adapter.bounds(point).contains(point)
        assert len(adapter.part_names(point)) == len(point)
        for layer in range(1, adapter.n_layers + 1):
            point = adapter.encode(raw, layer=layer)
            if isinstance(adapter, ImageAdapter):
                assert len(adapter.part_names(point)) == len(point)
            adapter.check_point(point, layer)


def test_a_batch_of_points_gives_the_outputs_of_each(adapter):
    raw = raw_inputs(adapter)[1]
    point = adapter.encode(raw)
    f = adapter.output_map(point)
    points = torch.stack([f.start, 1.1 * f.start, 0.9 * f.start])
    with torch.no_grad():
        expected = torch.stack([f(point) for point in points])
        assert torch.allclose(torch.func.vmap(f)(points), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_a_heads_output_is_its_share_of_what_the_output_projection_reads(adapter):
    raw = raw_inputs(adapter)[1]
    point = adapter.encode(raw)
    if adapter.model.config.model_type == "swin":
        with pytest.raises(ValueError, match="windows"):
            adapter.head_map(point, 0, [0])
        return
    f, *others = (adapter.head_map(point, head, [0, 1]) for head in range(2))
    assert f.point.equal(point) and f.head.held == "output of head 0 in block 0"
    outputs = torch.stack([g(g.start).unflatten(0, (2, -1)) for g in (f, *others)], 1).flatten(1)  # two rows, two heads
    width = outputs.shape[1]
    assert any(torch.allclose(rows, outputs, rtol=0, atol=1e-9) for rows in read_by_linear_maps(adapter, point, width))
    without = torch.cat([torch.zeros_like(outputs[:, : width // 2]), outputs[:, width // 2 :]], 1)
    removed = read_by_linear_maps(adapter.without_head(0, 0), point, width)
    assert any(torch.allclose(rows, without, rtol=0, atol=1e-9) for rows in removed)
    assert any(torch.allclose(rows, outputs, rtol=0, atol=1e-9) for rows in read_by_linear_maps(adapter, point, width))


def read_by_linear_maps(adapter, point, width):
    """Return the first two rows of what each linear map of a model reads, as far as a width."""
    inputs = []
    hooks = [
        module.register_forward_pre_hook(lambda _module, args: inputs.append(args[0]))
        for module in adapter.model.modules()
        if type(module).__name__ in ("Linear", "Conv1D")
    ]
    adapter.whole_map(point)(point)
    for hook in hooks:
        hook.remove()
    rows = [values.reshape(-1, values.shape[-1])[:2, :width] for values in inputs if values.shape[-1] >= width]
    return [row for row in rows if len(row) == 2]


def test_a_head_that_is_not_there_cannot_be_removed(tmp_path):
    adapter = load(make_model("GPT2LMHeadModel", tmp_path), "GPT2LMHeadModel")
    with pytest.raises(ValueError, match="block=9: must be between 0 and 1"):
        adapter.without_head(9, 0)
    point = adapter.encode(raw_inputs(adapter)[1])
    with pytest.raises(ValueError, match="head=7: must be between 0 and"):
        adapter.without_head(1, 7).predict(point)
    twice = adapter.without_head(0, 0).without_head(1, 1)
    assert not torch.allclose(twice.predict(point), adapter.without_head(0, 0).predict(point))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["BertForSequenceClassification", "LlamaForCausalLM", "ViTForImageClassification"])
def test_the_attention_of_the_model_is_the_users_choice(tmp_path, name, attention):
    folder = make_model(name, tmp_path)
    loaded = load(folder, name)
    model = type(loaded.model).from_pretrained(folder, dtype=torch.float64, attn_implementation=attention).eval()
    kind = ImageAdapter if isinstance(loaded, ImageAdapter) else type(loaded)
    adapter = kind("mine", model, loaded.processor if kind is ImageAdapter else loaded.tokenizer)
    raw = raw_inputs(adapter)[1]
    f, g = (one.output_map(one.encode(raw)) for one in (adapter, loaded))
    for result, expected in zip(jacobian(f, f.start), jacobian(g, g.start), strict=True):
        assert torch.allclose(result, expected, rtol=0, atol=1e-7)
    f, g = (one.head_map(one.encode(raw), 1, [0]) for one in (adapter, loaded))
    assert torch.allclose(f(f.start), g(g.start), rtol=0, atol=1e-7)


def test_every_family_has_models_and_a_place_in_the_readme():
    assert all(model_classes(kind) for kind in FAMILIES)
    table = (
        (Path(__file__).parents[2] / "README.md").read_text().split("| family | models | heads |")[1].split("\n\n")[0]
    )
    assert {name for name in re.findall(r"`([\w-]+)`", table.replace("|", "\n"))} >= set(FAMILIES)


def test_a_model_in_training_mode_is_refused(tmp_path):
    adapter = load(make_model("BertForSequenceClassification", tmp_path), "BertForSequenceClassification")
    adapter.model.train()
    with pytest.raises(ValueError, match="is in training mode"):
        adapter.predict(adapter.encode("a film"))


@torch.no_grad()
@pytest.mark.parametrize("name", ["ViTForImageClassification", "BertForSequenceClassification"])
def test_outputs_are_those_of_the_library_at_real_size(tmp_path, name):
    cls = getattr(transformers, name)
    cls(cls.config_class(num_labels=1000)).save_pretrained(tmp_path)  # twelve layers of width 768
    if name.startswith("ViT"):
        save_processor(tmp_path, side=224)
    else:
        save_tokenizer("bert-reviews", tmp_path)
    adapter = load_adapter(tmp_path)
    raw = raw_inputs(adapter)[0]
    expected = library_outputs(adapter, raw)
    for layer in (0, 7, 12):
        point = adapter.encode(raw, layer=layer)
        assert torch.allclose(adapter.whole_map(point, layer)(point), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_copy_of_a_model_is_a_model_of_its_own(vit, digits):
    model = copy.deepcopy(vit.model)
    adapter = ImageAdapter("copy", model, vit.processor)
    photo = Image.fromarray((digits.images[17] * 255).astype(np.uint8))
    point = adapter.encode(photo)
    assert torch.allclose(adapter.log_probabilities(point), vit.log_probabilities(point), atol=1e-5)
    model.classifier.bias += torch.arange(10.0)
    model.vit.layers[0].layernorm_before.weight.zero_()
    expected = model(**adapter.processor(images=photo, return_tensors="pt")).logits[0].log_softmax(-1)
    assert torch.allclose(adapter.log_probabilities(point), expected, atol=1e-5)
    assert not torch.allclose(adapter.log_probabilities(point), vit.log_probabilities(point), atol=0.1)
