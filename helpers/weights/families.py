"""Where each family keeps its parameters in its files, and the few facts in which families differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from torch import Tensor
from transformers import PretrainedConfig
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXRotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from helpers.weights.rotary import Rotary, by_layer_type, same_in_all_layers


@dataclass(frozen=True)
class Family:
    """The names of a family's parameters, and what has to be known about them.

    Names of a layer's parts are relative to the layer; an empty name says that there is no such part.

    Attributes:
        layer: name of layer {}.
        embedding, positions, final_norm: parts of the body.
        heads: query, key and value maps, or the one map that computes all.
        W_O, W_in, W_gate, W_out: the other maps of a layer.
        attention_norm, mlp_norm, attention_post_norm, mlp_post_norm, query_norm, key_norm: as in ``LayerWeights``.
        unembedding, unembedding_bias, classifier: parts of heads, under any of these names.
        eps, activation: attributes of the configuration; eps may be the number itself.
        split: splits the last axis of a map of heads into its parts, each (..., heads, d_head).
        inputs_first: whether maps are stored as (inputs, outputs).
        first_position: row of the first position in the position embeddings.
        scale_offset: what is added to the stored scale of a norm.
        centres: whether norms take out the mean.
        score_scale: what multiplies query times key in a layer.
        embedding_scale: what multiplies the embeddings.
        rotary: makes the rotation of queries and keys.
        causal: whether tokens see no later ones.
        module_names: names in the file whose modules have another name in the library.
        unsupported: says what is not supported in a configuration.
    """

    layer: str
    heads: tuple[str, ...]
    W_O: str
    W_in: str
    W_out: str
    eps: str | float
    activation: str
    embedding: str = ""
    positions: str = ""
    final_norm: str = ""
    W_gate: str = ""
    attention_norm: str = ""
    mlp_norm: str = ""
    attention_post_norm: str = ""
    mlp_post_norm: str = ""
    query_norm: str = ""
    key_norm: str = ""
    unembedding: tuple[str, ...] = ("lm_head",)
    unembedding_bias: tuple[str, ...] = ("lm_head.bias",)
    classifier: tuple[str, ...] = ("score", "classifier")
    split: Callable[[Tensor, int], tuple[Tensor, ...]] = lambda x, d_head: (x.unflatten(-1, (-1, d_head)),)
    inputs_first: bool = False
    first_position: Callable[[PretrainedConfig], int] = lambda config: 0
    scale_offset: float = 0.0
    centres: bool = True
    score_scale: Callable[[PretrainedConfig, int], float] = lambda config, layer: head_width(config) ** -0.5
    embedding_scale: Callable[[PretrainedConfig], float] = lambda config: 1.0
    rotary: Callable[[PretrainedConfig], Rotary] | None = None
    causal: Callable[[PretrainedConfig], bool] = lambda config: (
        not getattr(config, "use_bidirectional_attention", False)
    )
    module_names: Mapping[str, str] = field(default_factory=dict)
    unsupported: Callable[[PretrainedConfig], str] = lambda config: ""


def head_width(config: PretrainedConfig) -> int:
    """Return the width of a head."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def _gpt2_score_scale(config: PretrainedConfig, layer: int) -> float:
    scale = head_width(config) ** -0.5 if config.scale_attn_weights else 1.0
    return scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale


def _opt_problem(config: PretrainedConfig) -> str:
    problems = {
        "a norm after each layer and projected embeddings, as in OPT-350m": not config.do_layer_norm_before,
        "projected embeddings": config.do_layer_norm_before and config.word_embed_proj_dim != config.hidden_size,
        "no final norm": config._remove_final_layer_norm,
        "norms without a scale": not config.layer_norm_elementwise_affine,
    }
    return ", ".join(name for name, found in problems.items() if found)


_GPT2 = Family(
    layer="h.{}",
    embedding="wte",
    positions="wpe",
    final_norm="ln_f",
    heads=("attn.c_attn",),
    split=lambda x, d_head: tuple(part.unflatten(-1, (-1, d_head)) for part in x.chunk(3, -1)),
    W_O="attn.c_proj",
    W_in="mlp.c_fc",
    W_out="mlp.c_proj",
    attention_norm="ln_1",
    mlp_norm="ln_2",
    eps="layer_norm_epsilon",
    activation="activation_function",
    inputs_first=True,
    score_scale=_gpt2_score_scale,
)
_GPT_NEO = replace(
    _GPT2,
    heads=("attn.attention.q_proj", "attn.attention.k_proj", "attn.attention.v_proj"),
    split=Family.split,
    W_O="attn.attention.out_proj",
    inputs_first=False,
    score_scale=lambda config, layer: 1.0,
)
_GPT_NEOX = Family(
    layer="layers.{}",
    embedding="embed_in",
    final_norm="final_layer_norm",
    heads=("attention.query_key_value",),
    split=lambda x, d_head: x.unflatten(-1, (-1, 3, d_head)).unbind(-2),
    W_O="attention.dense",
    W_in="mlp.dense_h_to_4h",
    W_out="mlp.dense_4h_to_h",
    attention_norm="input_layernorm",
    mlp_norm="post_attention_layernorm",
    unembedding=("embed_out",),
    eps="layer_norm_eps",
    activation="hidden_act",
    rotary=partial(same_in_all_layers, GPTNeoXRotaryEmbedding),
)
_OPT = Family(
    layer="decoder.layers.{}",
    embedding="decoder.embed_tokens",
    positions="decoder.embed_positions",
    first_position=lambda config: 2,
    final_norm="decoder.final_layer_norm",
    heads=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    W_O="self_attn.out_proj",
    W_in="fc1",
    W_out="fc2",
    attention_norm="self_attn_layer_norm",
    mlp_norm="final_layer_norm",
    eps=1e-5,
    activation="activation_function",
    unsupported=_opt_problem,
)
_BERT = Family(
    layer="encoder.layer.{}",
    embedding="embeddings.word_embeddings",
    positions="embeddings.position_embeddings",
    heads=("attention.self.query", "attention.self.key", "attention.self.value"),
    W_O="attention.output.dense",
    W_in="intermediate.dense",
    W_out="output.dense",
    attention_post_norm="attention.output.LayerNorm",
    mlp_post_norm="output.LayerNorm",
    unembedding=("cls.predictions.decoder",),
    unembedding_bias=("cls.predictions.decoder.bias", "cls.predictions.bias"),
    classifier=(),
    eps="layer_norm_eps",
    activation="hidden_act",
    causal=lambda config: getattr(config, "is_decoder", False),
)
_ROBERTA = replace(
    _BERT,
    first_position=lambda config: config.pad_token_id + 1,
    unembedding=("lm_head.decoder",),
    unembedding_bias=("lm_head.decoder.bias", "lm_head.bias"),
)
_DISTILBERT = replace(
    _BERT,
    layer="transformer.layer.{}",
    heads=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    W_O="attention.out_lin",
    W_in="ffn.lin1",
    W_out="ffn.lin2",
    attention_post_norm="sa_layer_norm",
    mlp_post_norm="output_layer_norm",
    unembedding=("vocab_projector",),
    unembedding_bias=("vocab_projector.bias",),
    eps=1e-12,
    activation="activation",
)
_VIT = Family(
    layer="encoder.layer.{}",
    positions="embeddings.position_embeddings",
    final_norm="layernorm",
    heads=("attention.attention.query", "attention.attention.key", "attention.attention.value"),
    W_O="attention.output.dense",
    W_in="intermediate.dense",
    W_out="output.dense",
    attention_norm="layernorm_before",
    mlp_norm="layernorm_after",
    unembedding=("classifier", "cls_classifier"),
    unembedding_bias=("classifier.bias", "cls_classifier.bias"),
    classifier=(),
    eps="layer_norm_eps",
    activation="hidden_act",
    causal=lambda config: False,
    module_names={
        "encoder.layer.{}": "layers.{}",
        "attention.output.dense": "attention.o_proj",
        "output.dense": "mlp.fc2",
    },
)
_LLAMA = Family(
    layer="layers.{}",
    embedding="embed_tokens",
    final_norm="norm",
    heads=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    W_O="self_attn.o_proj",
    W_in="mlp.up_proj",
    W_gate="mlp.gate_proj",
    W_out="mlp.down_proj",
    attention_norm="input_layernorm",
    mlp_norm="post_attention_layernorm",
    eps="rms_norm_eps",
    activation="hidden_act",
    centres=False,
    rotary=partial(same_in_all_layers, LlamaRotaryEmbedding),
)
_QWEN3 = replace(_LLAMA, query_norm="self_attn.q_norm", key_norm="self_attn.k_norm")
_GEMMA = replace(_LLAMA, scale_offset=1.0, embedding_scale=lambda config: config.hidden_size**0.5)
_GEMMA2 = replace(
    _GEMMA,
    activation="hidden_activation",
    mlp_norm="pre_feedforward_layernorm",
    attention_post_norm="post_attention_layernorm",
    mlp_post_norm="post_feedforward_layernorm",
    score_scale=lambda config, layer: config.query_pre_attn_scalar**-0.5,
)
_GEMMA3 = replace(_GEMMA2, query_norm="self_attn.q_norm", key_norm="self_attn.k_norm", rotary=by_layer_type)

FAMILIES: dict[str, Family] = {  # model type in a configuration -> family
    "gpt2": _GPT2,
    "gpt_neo": _GPT_NEO,
    "gpt_neox": _GPT_NEOX,
    "opt": _OPT,
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "distilbert": _DISTILBERT,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _QWEN3,
    "gemma": _GEMMA,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA3,
    "vit": _VIT,
    "deit": _VIT,
}
