"""Loading by name: errors in one line, architectures checked, and no change to the process."""

import json
import logging
import subprocess
import sys

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM
from transformers.utils import logging as transformers_logging

from helpers.adapters import BertAdapter
from helpers.resources import (
    MODELS,
    ModelNotFoundError,
    data_folder,
    label_names,
    load_config,
    load_model,
    load_pretrained,
    resolve,
)


def test_importing_changes_no_settings_of_transformers():
    code = (
        "from transformers.utils import logging; from huggingface_hub import utils; "
        "settings = lambda: (logging.is_progress_bar_enabled(), utils.are_progress_bars_disabled(), "
        "logging.set_tqdm_hook(None)); before = settings(); import helpers.adapters, helpers.weights; "
        "assert settings() == before == (True, False, None)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_progress_bars_are_hidden_only_while_a_model_loads(capfd):
    calls = []

    def hook(factory, args, kwargs):
        calls.append(kwargs.get("desc"))
        return factory(*args, **kwargs)

    previous = transformers_logging.set_tqdm_hook(hook)
    try:
        BertForMaskedLM.from_pretrained(MODELS / "bert-reviews")
        assert calls, "transformers shows a bar by itself"
        calls.clear()
        capfd.readouterr()
        load_model(BertForMaskedLM, "bert-reviews")
        with pytest.raises(ModelNotFoundError):
            load_pretrained(AutoTokenizer, MODELS)
        assert calls == []
        assert "%" not in capfd.readouterr().err
        assert transformers_logging.set_tqdm_hook(previous) is hook, "what was set before is set again"
    finally:
        transformers_logging.set_tqdm_hook(previous)


def test_a_name_is_a_bundled_model_a_folder_or_a_hub_id(tmp_path, monkeypatch):
    assert resolve("bert-reviews") == str(data_folder() / "models" / "bert-reviews")
    assert resolve("someone/else") == "someone/else"
    for name in ("", " ", None, 7):
        with pytest.raises(ValueError, match="is no name; give a bundled model"):
            resolve(name)
    (tmp_path / "vit-digits").mkdir()
    (tmp_path / "vit-digits" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"is a bundled model and a folder here; write './vit-digits'"):
        resolve("vit-digits")
    assert resolve("./vit-digits") == "./vit-digits"
    with pytest.raises(ValueError, match="is a file; give the folder"):
        resolve("vit-digits/config.json")


@pytest.mark.parametrize("content", ["{", '{"model_type": "no such type"}', "[]", ""])
def test_a_broken_folder_is_one_line(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelNotFoundError, match="cannot load the folder") as caught:
        load_config(tmp_path, {"bert": ["BertForMaskedLM"]})
    assert "\n" not in str(caught.value)


def test_weights_of_another_size_are_an_error_of_ours(tmp_path, caplog):
    config = {"vocab_size": 50, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertForMaskedLM(BertConfig(**config)).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "hidden_size": 24}))
    with caplog.at_level(logging.CRITICAL), pytest.raises(ModelNotFoundError) as caught:
        BertAdapter.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_architectures_are_named():
    config, head = load_config("bert-sentiment", {"vit": ["A"], "bert": ["BertForSequenceClassification"]})
    assert head == "BertForSequenceClassification"
    assert label_names(config) == ["negative", "positive"]
    with pytest.raises(ValueError, match=r"is a 'bert' model with head 'BertForSeq.*', wanted 'bert' with one of A, B"):
        load_config("bert-sentiment", {"bert": ["A", "B"]})
    with pytest.raises(ValueError, match=r"wanted one of vit, gpt2; or read it$"):
        load_config("bert-sentiment", {"vit": ["A"], "gpt2": ["GPT2Model"]}, "; or read it")


def test_labels_are_in_the_order_of_outputs():
    labels = {str(i): f"label {i}" for i in sorted(range(12), key=str)}
    assert label_names(BertConfig(id2label=labels)) == [f"label {i}" for i in range(12)]


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (404, "no such model"),
        (401, "no such model"),
        (403, "refuses access"),
        (410, r"no longer has this model \(error 410\);"),
        (418, r"refuses the request \(error 418\);"),
        (429, "too many requests"),
        (451, r"for legal reasons \(error 451\);"),
        (500, r"a problem of its own \(error 500\)"),
        (503, "try again later"),
    ],
)
def test_what_the_hub_answers_is_reported(monkeypatch, status, problem):
    request = httpx.Request("GET", "https://huggingface.co/api/models/someone/else")

    def refuse(self, name, timeout):
        raise HfHubHTTPError("refused", response=httpx.Response(status, request=request))

    monkeypatch.setattr(HfApi, "model_info", refuse)
    with pytest.raises(ModelNotFoundError, match=problem) as caught:
        load_model(BertForMaskedLM, "someone/else")
    assert "\n" not in str(caught.value)
