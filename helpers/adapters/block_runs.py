"""Run a model's own forward pass with the state at one layer replaced, or only until the state at a layer is known.

Permanent hooks on the blocks read a context variable. Outside of a run of ours it is empty and they do nothing, so the
model works as before. Each thread has its own, so runs in many threads do not affect each other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Module, ModuleList
from torch.overrides import TorchFunctionMode

Inputs = Mapping[str, Tensor]  # the keyword arguments of a model's forward pass
State = Float[Tensor, "rows width"]
NO_LAYER = -1


class _StateKnown(Exception):  # noqa: N818 - it ends a run early and is no error
    """Carries the state that a run was to read."""

    def __init__(self, state: Tensor):
        super().__init__()
        self.state = state


@dataclass
class _Run:
    """A forward pass in progress.

    Attributes:
        runner: whose hooks take part.
        layer: the layer whose state is replaced, if any.
        state: what replaces it, (1, rows, width).
        until: the layer whose state is read, if any; the run ends there.
        row: the only row that the language head needs to compute; None for all.
        blocks_entered: number of blocks entered so far.
        is_embedded: whether the tokens were embedded; GPT-2 looks up segments in the same table afterwards.
    """

    runner: BlockRunner
    layer: int = NO_LAYER
    state: Tensor | None = None
    until: int = NO_LAYER
    row: int | None = None
    blocks_entered: int = 0
    is_embedded: bool = False

    def pass_layer(self, layer: int, state: Tensor) -> Tensor:
        """Return the state with which the model goes on from a layer, or end the run with it."""
        if layer == self.layer and self.state is not None:
            state = self.state
        if layer == self.until:
            raise _StateKnown(state)
        return state


_CURRENT: ContextVar[_Run | None] = ContextVar("current run", default=None)


class BlockRunner:
    """A model whose state at any layer can be read and replaced.

    Layer 0 is where the embedded input enters, layer k the input of block k (counted from 0), and the last layer,
    ``n_layers``, is the output of the last block.

    Args:
        model: a transformers model; its forward pass runs as it is.
        blocks: path of the list of blocks; if empty, the list with the most parameters.
        entry: path of the module whose input is layer 0; if empty, the first block.
        from_embeddings: True if the output of the input embeddings is layer 0 instead, before positions are added.
        repeats: how often the list of blocks runs, as an attribute of the configuration; once if empty.
    """

    def __init__(self, model: Any, blocks: str = "", entry: str = "", from_embeddings: bool = False, repeats: str = ""):
        self.model = model
        self._removed: tuple[tuple[int, int], ...] = ()
        modules = model.get_submodule(blocks) if blocks else _largest_list(model)
        self.n_layers: int = getattr(model.config, repeats) if repeats else len(modules)
        self._first_block_layer = NO_LAYER if entry or from_embeddings else 0
        for block in modules:
            block.register_forward_pre_hook(self._enter_block, prepend=True, with_kwargs=True)
        modules[-1].register_forward_hook(self._leave_last_block, prepend=True)
        if entry:
            model.get_submodule(entry).register_forward_pre_hook(self._enter_first_module, prepend=True)
        elif from_embeddings:
            model.get_input_embeddings().register_forward_hook(self._leave_embeddings, prepend=True)
        if (head := model.get_output_embeddings()) is not None:
            head.register_forward_pre_hook(self._enter_head, prepend=True)

    def without_head(self, block: int, head: int) -> BlockRunner:
        """Return a runner of the same model in whose runs an attention head writes nothing."""
        runner = copy.copy(self)
        runner._removed = (*self._removed, (block, head))
        return runner

    def skip(self, module: Module, output: Tensor) -> None:
        """Let a module before layer 0 return this output, without computing, in runs that replace a state."""
        compute = module.forward.args[0] if isinstance(module.forward, partial) else module.forward
        # a partial function, unlike a closure, is copied with the model by copy.deepcopy
        module.forward = partial(self._compute_or_skip, compute, output)

    def _compute_or_skip(self, compute: Callable[..., Tensor], output: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        run = self._current()
        return compute(*args, **kwargs) if run is None or run.state is None else output

    def output(self, inputs: Inputs, layer: int, state: State, row: int | None = None) -> Any:
        """Run the model with the state at a layer replaced, and return its output; the language head for one row."""
        return self._run(_Run(self, layer, state.unsqueeze(0), row=row), inputs)

    def state(
        self, inputs: Inputs, until: int, layer: int = NO_LAYER, state: State | None = None
    ) -> Float[Tensor, "batch rows width"]:
        """Return the state at the layer ``until``, with the state at an earlier layer replaced if one is given."""
        try:
            self._run(_Run(self, layer, None if state is None else state.unsqueeze(0), until), inputs)
        except _StateKnown as end:
            return end.state
        raise RuntimeError(f"until={until}: the model's forward pass did not reach this layer")

    def head_output(self, inputs: Inputs, layer: int, state: State, head: int) -> Float[Tensor, "rows d_head"]:
        """Return the output of an attention head of the block that the replaced state enters."""
        try:
            with _HeadOutput(None, head):
                self.output(inputs, layer, state)
        except _StateKnown as end:
            return end.state
        raise RuntimeError(f"head={head}: the model's forward pass computed no attention in block {layer}")

    def _run(self, run: _Run, inputs: Inputs) -> Any:
        if self.model.training:
            raise ValueError("model: is in training mode, where dropout makes outputs random; call model.eval()")
        token = _CURRENT.set(run)
        try:
            with ExitStack() as modes:
                if self.model.dtype == torch.float64:
                    modes.enter_context(_DoublePrecision())
                for removed in self._removed:
                    modes.enter_context(_HeadRemoval(*removed))
                return self.model(**inputs, return_dict=True)
        finally:
            _CURRENT.reset(token)

    def _current(self) -> _Run | None:
        """Return the run in progress, if it is one of this runner's model."""
        run = _CURRENT.get()
        return run if run is not None and run.runner.model is self.model else None

    def _enter_block(self, _module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        run = self._current()
        if run is None:
            return None
        layer, run.blocks_entered = run.blocks_entered, run.blocks_entered + 1
        if layer == 0 and self._first_block_layer == NO_LAYER:
            return None
        if args:
            return (run.pass_layer(layer, args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": run.pass_layer(layer, kwargs["hidden_states"])}

    def _leave_last_block(self, _module: Module, _args: tuple[Any, ...], output: Any) -> Any:
        run = self._current()
        if run is None or run.blocks_entered < self.n_layers:
            return None
        if isinstance(output, Tensor):
            return run.pass_layer(self.n_layers, output)
        return (run.pass_layer(self.n_layers, output[0]), *output[1:])

    def _enter_first_module(self, _module: Module, args: tuple[Tensor, ...]) -> Any:
        run = self._current()
        return None if run is None else (run.pass_layer(0, args[0]), *args[1:])

    def _leave_embeddings(self, _module: Module, _args: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        run = self._current()
        if run is None or run.is_embedded:
            return None
        run.is_embedded = True
        return run.pass_layer(0, output)

    def _enter_head(self, _module: Module, args: tuple[Tensor, ...]) -> Any:
        run = self._current()
        if run is None:
            return None
        hidden = args[0] if run.row is None else args[0][:, run.row : run.row + 1]
        return (run.pass_layer(self.n_layers + 1, hidden),)


class _AttentionMode(TorchFunctionMode):
    """Find the outputs of the attention heads of each block in the run in progress, and do something with them.

    In every family the heads' outputs, (batch, heads, rows, d_head), are the first product after that block's softmax,
    or one function of torch computes both.

    Args:
        block: number of the block; None for the one that the replaced state enters.
        head: number of the attention head.
    """

    def __init__(self, block: int | None, head: int):
        super().__init__()
        self.block, self.head, self.has_weights = block, head, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, run, name = func(*args, **(kwargs or {})), _CURRENT.get(), getattr(func, "__name__", "")
        if run is None or run.blocks_entered != 1 + (run.layer if self.block is None else self.block):
            return result
        is_product = self.has_weights and name in ("matmul", "__matmul__", "bmm")
        if is_product or name == "scaled_dot_product_attention":
            self.has_weights = False
            outputs = result.unflatten(0, (1, -1)) if result.ndim == 3 else result
            if not 0 <= self.head < outputs.shape[1]:
                raise ValueError(f"head={self.head}: must be between 0 and {outputs.shape[1] - 1}")
            return self.change(outputs).reshape(result.shape)
        self.has_weights |= name == "softmax"
        return result

    def change(self, outputs: Float[Tensor, "batch heads rows d_head"]) -> Tensor:
        """Return what the model goes on with."""
        raise NotImplementedError


class _HeadOutput(_AttentionMode):
    """End the run in progress with the output of an attention head, in the block that the replaced state enters."""

    def change(self, outputs: Float[Tensor, "batch heads rows d_head"]) -> Tensor:
        """End the run."""
        if len(outputs) > 1:
            raise ValueError(f"head={self.head}: attention runs in {len(outputs)} windows; hold a hidden state")
        raise _StateKnown(outputs[0, self.head])


class _HeadRemoval(_AttentionMode):
    """Let a head of a block write nothing, but for the bias that all heads share."""

    def change(self, outputs: Float[Tensor, "batch heads rows d_head"]) -> Tensor:
        """Set the output of the head to zero."""
        return outputs.index_fill(1, torch.tensor(self.head, device=outputs.device), 0)


class _DoublePrecision(TorchFunctionMode):
    """Compute in float64 what a model's code asks for in float32, such as the softmax of its attention.

    Without it, a ViT in float64 rounds its attention to float32, and finite differences of it are noise.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.float64:
            if func is Tensor.float:
                return args[0]
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
            kwargs = {key: torch.float64 if value is torch.float32 else value for key, value in kwargs.items()}
        return func(*args, **kwargs)


def _largest_list(model: Module) -> ModuleList:
    """Return the list of modules with the most parameters, which holds a model's blocks."""
    lists = [module for module in model.modules() if isinstance(module, ModuleList)]
    return max(lists, key=lambda modules: sum(parameter.numel() for parameter in modules.parameters()))
