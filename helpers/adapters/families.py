"""The families of models that adapters support, and the few facts in which they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import PretrainedConfig
from transformers.models.auto import modeling_auto as names

from helpers.adapters.block_runs import BlockRunner
from helpers.adapters.heads import CLASSES, LABELS, WORDS, Head, classification_head

IMAGE_CLASSES, IMAGE_PROMPTS = "image classes", "images and prompts"
TEXT_CLASSES, MASKED_WORD, TOKEN_CLASSES, NEXT_WORD = "text classes", "masked word", "token classes", "next word"


@dataclass(frozen=True)
class Family:
    """What a family's models have in common.

    Attributes:
        tasks: the tasks of its models, as named above.
        blocks: path of the list of blocks; if empty, the list with the most parameters.
        entry: path of the module whose input is layer 0; if empty, the first block.
        repeats: how often the list of blocks runs, as an attribute of the configuration.
    """

    tasks: tuple[str, ...]
    blocks: str = ""
    entry: str = ""
    repeats: str = ""

    def runner(self, model: Any) -> BlockRunner:
        """Prepare a model's forward pass, once: all adapters of a model share its hooks."""
        if not hasattr(model, "_block_runner"):
            causal = NEXT_WORD in self.tasks
            model._block_runner = BlockRunner(model, self.blocks, self.entry, causal, self.repeats)
        return model._block_runner


_IMAGE, _ENCODER, _CAUSAL = (IMAGE_CLASSES,), (TEXT_CLASSES, MASKED_WORD, TOKEN_CLASSES), (NEXT_WORD, TEXT_CLASSES)

FAMILIES: dict[str, Family] = {  # model type in a configuration -> family, for all that adapters support
    "vit": Family(_IMAGE),
    "deit": Family(_IMAGE),
    "beit": Family(_IMAGE),
    "dinov2": Family(_IMAGE),
    "dinov2_with_registers": Family(_IMAGE),
    # a norm follows the patch embedding; before it, a point is affine in the pixels
    "swin": Family(_IMAGE, entry="swin.embeddings.norm"),
    "siglip": Family((IMAGE_CLASSES, IMAGE_PROMPTS), blocks="vision_model.encoder.layers"),
    "clip": Family(
        (IMAGE_CLASSES, IMAGE_PROMPTS), blocks="vision_model.encoder.layers", entry="vision_model.pre_layrnorm"
    ),
    "bert": Family(_ENCODER),
    "distilbert": Family(_ENCODER),
    "roberta": Family(_ENCODER),
    "xlm-roberta": Family(_ENCODER),
    "electra": Family(_ENCODER),
    "albert": Family(_ENCODER, repeats="num_hidden_layers"),  # one block runs many times
    "modernbert": Family(_ENCODER),
    "deberta-v2": Family(_ENCODER, entry="deberta.encoder"),  # whose convolution reads the state as well
    "gpt2": Family(_CAUSAL),
    "gpt_neo": Family(_CAUSAL),
    "gpt_neox": Family(_CAUSAL),
    "opt": Family(_CAUSAL),
    "llama": Family(_CAUSAL),
    "mistral": Family(_CAUSAL),
    "qwen2": Family(_CAUSAL),
    "qwen3": Family(_CAUSAL),
    "gemma": Family(_CAUSAL),
    "gemma2": Family(_CAUSAL),
    "gemma3_text": Family(_CAUSAL),
}


def families_with(task: str) -> frozenset[str]:
    """Return the families with models of a task."""
    return frozenset(kind for kind, family in FAMILIES.items() if task in family.tasks)


_TASK_NAMES: dict[str, Any] = {
    IMAGE_CLASSES: names.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    IMAGE_PROMPTS: names.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    TEXT_CLASSES: names.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    MASKED_WORD: names.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    TOKEN_CLASSES: names.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    NEXT_WORD: names.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
}


def model_classes(model_type: str) -> dict[str, str]:
    """Map the names of a family's supported model classes to their tasks; empty for another family."""
    classes: dict[str, str] = {}
    for task in FAMILIES[model_type].tasks if model_type in FAMILIES else ():
        listed = _TASK_NAMES[task].get(model_type, ())
        classes |= dict.fromkeys([listed] if isinstance(listed, str) else listed, task)
    return classes


def task_of(model: Any) -> str:
    """Return the task of a model.

    Raises:
        ValueError: a model of a class that is not supported.
    """
    classes, name = model_classes(model.config.model_type), type(model).__name__
    if name not in classes:
        raise ValueError(f"model: is a {name}, wanted one of {', '.join(classes) or ', '.join(FAMILIES)}")
    return classes[name]


def head_of(config: PretrainedConfig, task: str) -> Head:
    """Return what the head of a model computes."""
    if task in (MASKED_WORD, NEXT_WORD):
        return WORDS
    if task == IMAGE_PROMPTS:  # SigLIP is trained to judge each pair of image and text by itself
        return LABELS if config.model_type == "siglip" else CLASSES
    return classification_head(config)
