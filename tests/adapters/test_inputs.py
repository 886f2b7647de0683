"""Inputs and checkpoints that once gave wrong results or raw errors of other libraries, one test each."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor

from helpers import walk_class
from helpers.adapters import (
    BertAdapter,
    CausalAdapter,
    EncoderAdapter,
    GPT2Adapter,
    ImageAdapter,
    ModelAdapter,
    TextAdapter,
    ViTAdapter,
    load_adapter,
)
from helpers.resources import MODELS, ModelNotFoundError
from helpers.sessions import ImageInput, WalkSession, tabulate_frames
from helpers.weights import load_weights
from tests.adapters.families import make_model, save_processor, save_tokenizer

PHOTO = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 96, 3), dtype=np.uint8))


def copy_model(name, folder):
    """Copy a bundled model, to be damaged."""
    shutil.copytree(MODELS / name, folder, dirs_exist_ok=True)
    return folder


def change_json(file, **changes):
    """Change settings in a JSON file; None removes one."""
    settings = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))


def change_weights(folder, change):
    """Change the weights of a folder by a function on the dictionary of tensors."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(("name", "cls"), [("bert-sentiment", BertAdapter), ("gpt2-reviews", GPT2Adapter)])
def test_a_missing_tokenizer_is_named(tmp_path, name, cls):
    folder = copy_model(name, tmp_path / "copy")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"tokenizer\.json"):
        cls.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {
            "size": {"shortest_edge": 36},
            "do_center_crop": True,
            "crop_size": {"height": 32, "width": 32},
            "resample": 3,
        },
        {"resample": 3},
        {"rescale_factor": 1 / 127.5, "image_mean": [1.0, 1.0, 1.0], "image_std": [1.0, 1.0, 1.0]},
    ],
)
def test_the_checkpoints_processor_is_followed(tmp_path, changes):
    folder = copy_model("vit-cifar10", tmp_path / "copy")
    kind = {"image_processor_type": "DeiTImageProcessor"} if "do_center_crop" in changes else {}
    change_json(folder / "preprocessor_config.json", **changes, **kind)
    adapter = load_adapter(folder)
    processor = AutoImageProcessor.from_pretrained(folder)
    expected = adapter.model(**processor(images=PHOTO, return_tensors="pt")).logits[0].softmax(-1)
    assert torch.allclose(adapter.predict(adapter.encode(PHOTO)), expected, atol=1e-5)
    shown = adapter.encode(adapter.decode(adapter.encode(PHOTO)))
    assert torch.allclose(adapter.predict(shown), expected, atol=1e-4)


def test_a_processor_that_does_not_resize_takes_images_of_the_models_size_only(tmp_path):
    folder = copy_model("vit-cifar10", tmp_path / "copy")
    change_json(folder / "preprocessor_config.json", do_resize=False)
    adapter = load_adapter(folder)
    assert adapter.encode(PHOTO.resize((32, 32))).shape == adapter.encode(np.zeros((3, 32, 32))).shape
    with pytest.raises(ValueError, match=r"is 96 x 64 and its processor makes \(3, 64, 96\) of it"):
        adapter.encode(PHOTO)


def test_a_head_of_many_labels_is_a_sigmoid(tmp_path):
    folder = make_model("ViTForImageClassification", tmp_path, problem_type="multi_label_classification", num_labels=5)
    adapter = load_adapter(folder)
    point = adapter.encode(PHOTO)
    logits = adapter.model(**adapter.processor(images=PHOTO, return_tensors="pt")).logits[0]
    assert torch.allclose(adapter.predict(point), logits.sigmoid(), atol=1e-5)
    f = adapter.output_map(point, target=[1, 3])
    assert f.names == ("LABEL_1", "LABEL_3")
    assert torch.allclose(f(point).exp(), logits.sigmoid()[[1, 3]], atol=1e-5)
    assert "labels that may hold together" in repr(f) and "others free" in repr(f)
    path = walk_class(f, point, travel=0.1 * float(point.norm()))
    assert path.drift.max() <= 1e-4


@pytest.mark.parametrize("name", ["ViTForImageClassification", "BertForSequenceClassification"])
def test_a_head_of_one_value_is_a_regression(tmp_path, name):
    adapter = load_adapter(make_model(name, tmp_path, num_labels=1))
    raws = [PHOTO, PHOTO.rotate(90)] if name.startswith("ViT") else ["a film", "an awful mess"]
    values = [adapter.predict(adapter.encode(raw)) for raw in raws]
    assert values[0].shape == (1,) and abs(float(values[0] - values[1])) > 1e-3
    assert "values" in repr(adapter.output_map(adapter.encode(raws[0])))
    processed = adapter.processor(images=PHOTO, return_tensors="pt") if name.startswith("ViT") else None
    inputs = processed or adapter.tokenizer(raws[0], return_tensors="pt")
    assert torch.allclose(values[0], adapter.model(**inputs).logits[0], atol=1e-5)


def test_a_pair_of_texts_has_segments(tmp_path):
    adapter = load_adapter(make_model("BertForSequenceClassification", tmp_path, num_labels=3))
    pair = ("a warm film", "it is funny")
    expected = adapter.model(**adapter.tokenizer(*pair, return_tensors="pt")).logits[0].softmax(-1)
    point = adapter.encode(pair)
    assert torch.allclose(adapter.predict(point), expected, atol=1e-5)
    assert adapter.segments_of(point) == [0] * 5 + [1] * 4
    together = adapter.predict(adapter.encode(f"{pair[0]} [SEP] {pair[1]}"))
    assert not torch.allclose(together, expected, atol=1e-3), "one text with [SEP] in it has one segment"


def test_a_decoder_is_causal(tmp_path):
    adapter = load_adapter(make_model("BertForSequenceClassification", tmp_path, is_decoder=True))
    expected = adapter.model(**adapter.tokenizer("a warm film", return_tensors="pt")).logits[0].softmax(-1)
    assert torch.allclose(adapter.predict(adapter.encode("a warm film")), expected, atol=1e-6)
    plain = load_adapter(make_model("BertForSequenceClassification", tmp_path / "plain"))
    assert not torch.allclose(plain.predict(plain.encode("a warm film")), expected, atol=1e-4)


def test_padding_decides_which_token_a_causal_classifier_reads(tmp_path):
    adapter = load_adapter(make_model("GPT2ForSequenceClassification", tmp_path))
    text = "The film is<|endoftext|>"
    expected = adapter.model(**adapter.tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
    for layer in range(adapter.n_layers + 1):
        assert torch.allclose(adapter.predict(adapter.encode(text, layer=layer), layer, text), expected, atol=1e-6)
    assert torch.allclose(adapter.predict(adapter.encode(text)), expected, atol=1e-6), "the point tells its padding"
    point = adapter.encode(text, layer=1)
    for compute in (adapter.predict, lambda state, layer: adapter.output_map(state, layer=layer)):
        with pytest.raises(ValueError, match="raw: is needed at layer 1"):
            compute(point, 1)
    assert adapter.hidden_map(point, 2, [0], layer=1).names, "hidden states do not depend on what is padding"


@pytest.mark.parametrize("text", ["🙂", "电影很好", "a naïve café film"])
def test_characters_without_a_token_are_named(text):
    adapter = GPT2Adapter.load("gpt2-reviews")
    with pytest.raises(ValueError, match="the tokenizer has no token for"):
        adapter.encode(text)


def test_weights_of_another_width_are_named(tmp_path):
    folder = make_model("BertForSequenceClassification", tmp_path)
    change_json(folder / "config.json", hidden_size=96)
    with pytest.raises(ModelNotFoundError, match=r"its weights do not fit its config.json: .* is \(.*in the file"):
        load_adapter(folder)


def test_layers_that_would_be_dropped_are_named(tmp_path):
    folder = make_model("BertForSequenceClassification", tmp_path, num_hidden_layers=4)
    change_json(folder / "config.json", num_hidden_layers=2)
    with pytest.raises(
        ModelNotFoundError, match=r"more layers or weights than its config.json says, such as bert\.encoder\.layer\.2"
    ):
        load_adapter(folder)


def test_a_file_is_no_name(tmp_path):
    folder = make_model("BertForSequenceClassification", tmp_path)
    with pytest.raises(ValueError, match="is a file; give the folder"):
        load_adapter(folder / "model.safetensors")


def test_a_folder_of_timm_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "vit_base_patch16_224", "num_classes": 1000}')
    with pytest.raises(ModelNotFoundError, match=r"cannot load the folder .*model_type"):
        load_adapter(tmp_path)


def test_a_token_beyond_the_embedding_is_named(tmp_path):
    folder = make_model("BertForSequenceClassification", tmp_path, vocab_size=100)
    with pytest.raises(ValueError, match="has 100 embeddings; its tokenizer is another's"):
        load_adapter(folder).encode("a warm film")


def test_a_processor_that_divides_by_zero_is_named(tmp_path):
    folder = copy_model("vit-cifar10", tmp_path / "copy")
    change_json(folder / "preprocessor_config.json", image_std=[0.5, 0.0, 0.5])
    with pytest.raises(ValueError, match="zeros in image_std"):
        load_adapter(folder)


def test_weights_that_are_not_finite_are_named(tmp_path):
    folder = make_model("ViTForImageClassification", tmp_path)
    change_weights(folder, lambda weights: weights["classifier.bias"].fill_(torch.nan))
    with pytest.raises(ModelNotFoundError, match=r"weights in classifier\.bias are not finite"):
        load_adapter(folder)


def test_a_configuration_without_a_head_is_named(tmp_path):
    folder = make_model("BertForSequenceClassification", tmp_path)
    change_json(folder / "config.json", architectures=None)
    with pytest.raises(ValueError, match=r"no 'architectures'.* add one of BertForSequenceClassification"):
        load_adapter(folder)


def test_what_is_not_supported_says_what_is(tmp_path):
    small = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}
    transformers.BertModel(transformers.BertConfig(**small, vocab_size=50)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"wanted .*BertForSequenceClassification"):
        load_adapter(tmp_path)


def test_two_classes_of_one_name_are_told_apart(tmp_path):
    labels = {"0": "crane", "1": "heron", "2": "crane"}
    folder = make_model("ViTForImageClassification", tmp_path, id2label=labels, num_labels=3)
    adapter = load_adapter(folder)
    point = adapter.encode(PHOTO)
    assert adapter.output_map(point).names == ("crane (0)", "heron", "crane (2)")
    assert adapter.output_map(point, target=["crane (2)"]).target == (2,)
    assert load_weights(folder).item_names == adapter.class_names
    with pytest.raises(ValueError, match=r"target='crane': is not among .* some are 'crane \(2\)', 'crane \(0\)'"):
        adapter.output_map(point, target=["crane"])
    session = WalkSession(ImageInput(adapter, PHOTO))
    assert list(tabulate_frames(session).columns)[-3:] == adapter.class_names


def test_many_classes_are_walked_by_the_ten_most_probable(tmp_path):
    adapter = load_adapter(make_model("ViTForImageClassification", tmp_path, num_labels=1000))
    point = adapter.encode(PHOTO)
    f = adapter.output_map(point)
    assert len(f.names) == 11 and f.names[-1] == "the rest"
    assert "10 of them (LABEL_" in repr(f) and "the rest as one" in repr(f)
    assert torch.allclose(f(point)[:10], adapter.log_probabilities(point).topk(10).values, atol=1e-6)
    assert len(adapter.output_map(point, target="all").names) == 1000


def test_a_long_text_decodes_in_batches(tmp_path):
    adapter = load_adapter(make_model("BertForSequenceClassification", tmp_path, max_position_embeddings=512))
    text = "the plot is thin but the music is lovely " * 55
    points = torch.stack([adapter.encode(text)] * 2)
    assert [text.strip() for _ in points] == adapter.decode(points)


def test_a_model_loads_by_its_configuration(tmp_path):
    assert type(load_adapter("vit-digits")).__name__ == "ImageAdapter"
    assert type(load_adapter("bert-reviews")).__name__ == "EncoderAdapter"
    assert type(load_adapter("gpt2-reviews")).__name__ == "CausalAdapter"
    with pytest.raises(ValueError, match="is a 'bert' model"):
        ViTAdapter.load("bert-reviews")
    with pytest.raises(ValueError, match="prompts="):
        load_adapter("bert-reviews", prompts=["a film"])
    folder = make_model("CLIPModel", tmp_path)
    save_tokenizer("gpt2-reviews", folder)
    with pytest.raises(ValueError, match="takes texts that describe the classes"):
        load_adapter(folder)


def test_a_layer_that_is_not_there_is_named(vit):
    for call in (lambda: vit.encode(PHOTO, layer=9), lambda: vit.output_map(vit.encode(PHOTO), layer=9)):
        with pytest.raises(ValueError, match="layer=9: must be between 0 and"):
            call()


def library_probabilities(adapter, raw):
    """Run the library's own classifier on what its own tokenizer makes of a text."""
    return adapter.model(**adapter.tokenizer(raw, return_tensors="pt")).logits[0].softmax(-1)


def test_deberta_with_a_convolution_reads_the_replaced_state_in_it(tmp_path):
    options = {"conv_kernel_size": 3, "conv_act": "gelu"}
    adapter = load_adapter(make_model("DebertaV2ForSequenceClassification", tmp_path, **options))
    for layer in range(adapter.n_layers + 1):
        point = adapter.encode("a warm and funny film", layer=layer)
        expected = library_probabilities(adapter, "a warm and funny film")
        assert torch.allclose(adapter.predict(point, layer), expected, atol=1e-6)


def test_padding_by_an_ordinary_token_is_the_librarys(tmp_path):
    adapter = load_adapter(make_model("GPT2ForSequenceClassification", tmp_path, pad_token_id=1))  # "!"
    for text in ("the film is great", "the film is great!"):
        assert torch.allclose(adapter.predict(adapter.encode(text)), library_probabilities(adapter, text), atol=1e-6)


def test_of_special_tokens_with_nearly_the_same_embedding_the_nearest_is_taken(tmp_path):
    folder = make_model("GPT2ForSequenceClassification", tmp_path, pad_token_id=1)

    def make_alike(weights):
        weights["transformer.wte.weight"][1] = weights["transformer.wte.weight"][0] + 1e-5

    change_weights(folder, make_alike)
    adapter = load_adapter(folder)
    text = "the film is<|endoftext|>"
    assert torch.allclose(adapter.predict(adapter.encode(text)), library_probabilities(adapter, text), atol=1e-6)


def test_an_embedding_of_zeros_hides_no_other_word(tmp_path):
    adapter = load_adapter(make_model("ModernBertForSequenceClassification", tmp_path))
    adapter.model.get_input_embeddings().weight[0] = 0
    text = "the plot is thin"
    assert adapter.decode(adapter.encode(text)) == text


@pytest.mark.parametrize("text", ["don\u2019t", "nai\u0308ve", "\x00", "a\ud800b", "\ufe0f"])
def test_no_character_is_lost_without_a_word(text):
    adapter = GPT2Adapter.load("gpt2-reviews")
    with pytest.raises(ValueError, match="the tokenizer has no token for"):
        adapter.encode(f"a film {text}")
    assert adapter.tokens("<|endoftext|>a film") == ["<|endoftext|>", "…a", "film"]


def test_a_pair_decodes_to_the_pair(tmp_path):
    adapter = load_adapter(make_model("BertForSequenceClassification", tmp_path))
    for raw in (("a warm film", "it is funny"), "a warm film"):
        assert adapter.decode(adapter.encode(raw)) == raw
    point = adapter.encode("a warm film")
    assert adapter.decode(point[1:-1]) == "a warm film", "rows that are no special tokens are words"


def test_segments_are_added_where_a_tokenizer_gives_them_to_gpt2(tmp_path):
    folder = make_model("GPT2ForSequenceClassification", tmp_path)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    change_json(folder / "tokenizer_config.json", model_input_names=names)
    adapter = load_adapter(folder)
    assert "token_type_ids" in adapter.tokenizer("a film")
    for layer in (0, 1):
        point = adapter.encode("a warm film", layer=layer)
        expected = library_probabilities(adapter, "a warm film")
        assert torch.allclose(adapter.predict(point, layer, "a warm film"), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("cls", "name"),
    [(CausalAdapter, "bert-sentiment"), (EncoderAdapter, "gpt2-reviews"), (ImageAdapter, "gpt2-reviews")],
)
def test_an_adapter_refuses_models_of_another_kind(cls, name):
    with pytest.raises(ValueError, match=f"name='{name}'"):
        cls.load(name)


def test_an_abstract_adapter_names_load_adapter():
    for name in (None, "bert-sentiment"):
        with pytest.raises(TypeError, match=r"TextAdapter: is not an adapter by itself; .* load_adapter\(name\)"):
            TextAdapter.load(name)


def test_an_adapter_without_a_default_asks_for_a_name():
    class OwnAdapter(EncoderAdapter):
        default = ModelAdapter.default

    with pytest.raises(ValueError, match="name='': is no name; give a bundled model"):
        OwnAdapter.load()


def test_a_typed_padding_token_without_a_position_is_named(tmp_path):
    adapter = load_adapter(make_model("RobertaForSequenceClassification", tmp_path, pad_token_id=0))
    with pytest.raises(ValueError, match="has the padding token"):
        adapter.encode("a [PAD] warm film")


def test_a_tokenizer_without_special_tokens_is_used_as_it_is(tmp_path):
    folder = make_model("LlamaForCausalLM", tmp_path, pad_token_id=None)
    change_json(folder / "tokenizer_config.json", **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token")))
    adapter = load_adapter(folder)
    point = adapter.encode("a warm film")
    if not adapter.tokenizer.all_special_ids:
        assert adapter.movable_parts(point) == [0, 1, 2]
    assert adapter.decode(point) == "a warm film"


@pytest.mark.parametrize("position", ["1", 1.5, 999, True])
def test_a_position_that_is_none_is_named(tmp_path, position):
    adapter = load_adapter(make_model("BertForTokenClassification", tmp_path))
    with pytest.raises(ValueError, match="position="):
        adapter.at(position)


def test_a_map_over_a_labelled_token_names_it(tmp_path):
    adapter = load_adapter(make_model("BertForTokenClassification", tmp_path)).at(2)
    assert "of token 2" in repr(adapter.output_map(adapter.encode("a warm film")))


def test_images_that_patches_do_not_divide_are_named(tmp_path):
    folder = make_model("SwinForImageClassification", tmp_path, image_size=23)
    save_processor(folder, 23)
    with pytest.raises(ValueError, match="which are no grid"):
        load_adapter(folder)


def test_patches_that_are_not_square_are_named(tmp_path):
    folder = make_model("ViTForImageClassification", tmp_path, patch_size=[8, 4])
    with pytest.raises(ValueError, match="only square ones"):
        load_adapter(folder)


def test_the_parts_of_a_merged_odd_grid_have_one_name_each(tmp_path):
    options = {"image_size": 20, "patch_size": 4, "depths": [1, 1, 1], "num_heads": [2, 4, 4], "window_size": 2}
    folder = make_model("SwinForImageClassification", tmp_path, **options)
    save_processor(folder, 20)
    adapter = load_adapter(folder)
    points = [adapter.encode(PHOTO, layer=layer) for layer in range(adapter.n_layers + 1)]
    assert [len(point) for point in points] == [len(adapter.part_names(point)) for point in points] == [25, 9, 4, 4]


def test_a_processor_of_another_size_than_the_model_is_named(tmp_path):
    folder = make_model("ViTForImageClassification", tmp_path)
    save_processor(folder, 32)
    with pytest.raises(ValueError, match="its processor makes"):
        load_adapter(folder)


def test_a_processor_that_reorders_colours_is_named(tmp_path):
    adapter = load_adapter(make_model("ViTForImageClassification", tmp_path))

    def reorder(images, return_tensors):
        return {"pixel_values": adapter.processor(images=images, return_tensors="pt")["pixel_values"].flip(1)}

    with pytest.raises(ValueError, match="order of the colours"):
        ImageAdapter("reordered", adapter.model, reorder)


def test_pixel_adapters_share_the_models_hooks():
    vit = ViTAdapter.load("vit-digits")
    count = sum(len(module._forward_pre_hooks) for module in vit.model.modules())
    assert vit.in_pixels().d_model == vit.channels * vit.patch_size**2 and vit.d_model == 48
    assert sum(len(module._forward_pre_hooks) for module in vit.model.modules()) == count


def test_a_configuration_without_a_dictionary_of_outputs_is_read(tmp_path):
    adapter = load_adapter(make_model("BertForSequenceClassification", tmp_path, return_dict=False))
    assert float(adapter.predict(adapter.encode("a film")).sum()) == pytest.approx(1)


def test_a_map_keeps_its_point(vit, digits):
    x = vit.encode(digits.images[0])
    f = vit.output_map(x, parts=[0])
    expected = f(f.start)
    x.zero_()
    assert torch.equal(f(f.start), expected)


def test_what_is_no_point_or_no_layer_is_named(vit, digits):
    x = vit.encode(digits.images[0])
    for compute in (lambda: vit.predict("a film"), lambda: vit.output_map(None)):
        with pytest.raises(ValueError, match="point: is a"):
            compute()
    for layer in ("1", None, 0.5, -1, 99):
        with pytest.raises(ValueError, match="layer="):
            vit.encode(digits.images[0], layer=layer)
    with pytest.raises(ValueError, match="heads are in blocks 0 to 3"):
        vit.head_map(vit.encode(digits.images[0], layer=4), 0, [0], layer=4)
    assert vit.hidden_map(x, 1, [-1]).names[0] == f"row {len(x)}, coordinate 0"
