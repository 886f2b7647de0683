"""What adapters of image classifiers share: patches are parts, and a point is affine in the pixels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import fold, unfold
from transformers import AutoImageProcessor

from helpers.adapters.block_runs import Inputs
from helpers.adapters.families import FAMILIES, IMAGE_CLASSES, IMAGE_PROMPTS, families_with
from helpers.adapters.model import ModelAdapter, check_prompts, load_network, load_task
from helpers.geometry import Box, check_finite
from helpers.resources import distinguish_names, label_names, load_pretrained, load_tokenizer


class ImageAdapter(ModelAdapter):
    """A transformers image classifier as a map from its patch embeddings to its outputs.

    A point of layer 0 has one row per patch: the patch's pixels through the patch embedding, plus the vector of its
    position. Tokens that do not depend on the image, such as [CLS], are parts of later layers only. The patch
    embedding is read once: after a change of its weights, create a new adapter.

    Args:
        name: how messages call the model.
        model: a model of one of the families, in evaluation mode.
        processor: the checkpoint's own image processor.
        prompts: for a model of images and texts, its tokenized prompts, as keyword arguments of its forward pass.
        prompt_names: one name per prompt.

    Source: arXiv 2410.06019, section 4.
    """

    families: ClassVar[Collection[str]] = families_with(IMAGE_CLASSES)
    default = "vit-digits"

    def __init__(
        self,
        name: str,
        model: Any,
        processor: Any,
        prompts: Mapping[str, Tensor] | None = None,
        prompt_names: list[str] | None = None,
    ):
        super().__init__(name, model)
        config = getattr(model.config, "vision_config", None) or model.config
        self.processor = processor
        self._prompts = dict(prompts or {})
        self.class_names = label_names(model.config) if prompt_names is None else distinguish_names(prompt_names)
        self.channels: int = config.num_channels
        self._black, self._range = self._pixel_scale(config)
        self.image_size = tuple(self._black.shape[1:])
        self._read_embedding()

    @classmethod
    def load(
        cls,
        name: str | Path | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        prompts: Sequence[str] | None = None,
    ) -> Self:
        """Load an image model with its own processor; arguments and errors as in ``load_adapter``."""
        name = cls._choose_name(name)
        model_type, _, task = load_task(name, cls.families)
        check_prompts(name, model_type, task, prompts)
        model = load_network(name, device, dtype, cls.families)
        processor = load_pretrained(AutoImageProcessor, name)
        if prompts is None:
            return cls(str(name), model, processor)
        options: dict[str, Any] = {"padding": True}
        if model.config.model_type == "siglip":  # it was trained on texts that are padded to their full length
            options = {"padding": "max_length", "max_length": model.config.text_config.max_position_embeddings}
        texts = load_tokenizer(name)(list(prompts), return_tensors="pt", **options).to(device)
        return cls(str(name), model, processor, dict(texts), list(prompts))

    def _pixel_scale(self, config: Any) -> tuple[Tensor, Tensor]:
        """Process a black and a white image: what becomes of pixel 0, and of the range from 0 to 1, (C, H, W)."""
        sides = config.image_size
        height, width = (sides, sides) if isinstance(sides, int) else sides
        mode = "L" if self.channels == 1 else "RGB"
        colors = ("black", "white") if self.channels == 1 else ("black", "white", "red")
        with np.errstate(all="ignore"):  # a division by zero is named below
            black, white, *red = (self._process(Image.new(mode, (width, height), color)) for color in colors)
        if black.shape != (self.channels, height, width):
            raise ValueError(
                f"{self.name}: its processor makes {tuple(black.shape)} (channels, height, width) of an image, its "
                f"configuration says {(self.channels, height, width)}; correct preprocessor_config.json"
            )
        if red and not torch.equal(red[0], torch.cat([white[:1], black[1:]])):
            raise ValueError(f"{self.name}: its processor changes the order of the colours, which is not supported")
        if not torch.isfinite(white - black).all() or not (white - black).all():
            raise ValueError(
                f"{self.name}: its processor makes {float(black.max()):.3g} of black and {float(white.max()):.3g} of "
                "white pixels; look for zeros in image_std or rescale_factor of preprocessor_config.json"
            )
        return black, white - black

    def _read_embedding(self) -> None:
        """Read the patch embedding: weights of a patch's pixels, and the rows of an image of zeros."""
        projection = next(module for module in self.model.modules() if isinstance(module, torch.nn.Conv2d))
        self.patch_size = int(projection.kernel_size[0])
        if set(projection.kernel_size) != {self.patch_size}:
            raise ValueError(f"{self.name}: its patches are {projection.kernel_size}; only square ones are supported")
        height, width = self.image_size
        self.grid = (height // self.patch_size, width // self.patch_size)
        if min(self.grid) < 1:
            raise ValueError(f"{self.name}: images of {height} x {width} have no patch of side {self.patch_size}")
        self._weight = projection.weight.detach().flatten(1)  # (d_model, pixels of a patch)
        blank, other = (self._state(self._inputs(torch.full_like(self._black, value)), 0) for value in (0, 1))
        self._skip_embedding(projection)
        special = len(blank) - self.grid[0] * self.grid[1]
        if special < 0 or not torch.equal(blank[:special], other[:special]):
            raise ValueError(
                f"{self.name}: makes {len(blank)} parts of an image of {height} x {width} in patches of side "
                f"{self.patch_size}, which are no grid"
            )
        self._special_rows, self._offset = blank[:special], blank[special:]  # (parts, d_model)
        self._inverse = torch.linalg.pinv(self._weight.cpu().double()).to(self._weight)
        self._patch_black, self._patch_range = self._patches(self._black), self._patches(self._range)
        self.d_model = len(self._weight)

    @torch.no_grad()
    def _skip_embedding(self, projection: torch.nn.Module) -> None:
        """Let runs that replace a state skip the embedding of an image of zeros, where it is one tensor."""
        pixels = torch.zeros_like(self._black)[None]
        embeddings = getattr(self.model.base_model, "embeddings", None)
        if embeddings is None or FAMILIES[self.model.config.model_type].entry:
            embeddings = projection
        output = embeddings(pixels)
        if isinstance(output, Tensor):
            self._runner.skip(embeddings, output)

    def in_pixels(self) -> ImagePixelAdapter:
        """Return the same model as a map from its pixels."""
        return ImagePixelAdapter(self.name, self.model, self.processor, self._prompts, self.class_names)

    def encode(self, raw: Any, layer: int = 0) -> Float[Tensor, "parts d_model"]:
        """Turn an image into a point: the state at a layer.

        Args:
            raw: a PIL image, which the checkpoint's own processor resizes, crops and normalises, or an array (H, W)
                or (C, H, W) with values in [0, 1] and exactly the model's size.
            layer: at later layers than 0, special tokens such as [CLS] are parts as well, before the patches.

        Raises:
            ValueError: an array of the wrong size, with the wrong channels, or with values outside [0, 1]; an image
                that the processor does not bring to the model's size.
        """
        self._check_layer(layer)
        pixels = self._pixels(raw)
        if layer == 0:
            return self._embed(self._patches(pixels))
        return self._state(self._inputs(pixels), layer)

    def decode(self, point: Float[Tensor, "*batch parts d_model"]) -> np.ndarray:
        """Turn points of layer 0 into images by the pseudo-inverse of the patch embedding.

        Returns:
            (..., H, W) for a model of grey images, else (..., C, H, W), clipped to [0, 1].
        """
        if tuple(point.shape[-2:]) != tuple(self._offset.shape):
            raise ValueError(
                f"point: has shape {tuple(point.shape)}, wanted (..., {len(self._offset)}, {self.d_model}); only "
                "points of layer 0 can be decoded"
            )
        return self._assemble(self._unscale((point - self._offset) @ self._inverse.T)).clip(0, 1)

    def decode_move(self, tangent_vec: Float[Tensor, "*batch parts d_model"]) -> np.ndarray:
        """Turn tangent vectors into changes of the image, of either sign: the linear part of ``decode``."""
        return self._assemble(tangent_vec.to(self._inverse.dtype) @ self._inverse.T / self._patch_range)

    def input_changes(self, points: Float[Tensor, "n parts d_model"]) -> Float[Tensor, " steps"]:
        """Return the mean change of a pixel, of the range from 0 to 1, between each two successive points of images."""
        changes = np.abs(np.diff(self.decode(points).astype(np.float64), axis=0))
        return torch.from_numpy(changes.mean(axis=tuple(range(1, changes.ndim))))

    def part_names(self, point: Float[Tensor, "parts d_model"]) -> list[str]:
        """Name the patches by row and column, counted from 0 at the top left; special tokens come first."""
        rows, columns = self.grid
        special = max(0, len(point) - rows * columns)
        while rows * columns > max(1, len(point)):  # Swin merges four parts into one between its stages
            rows, columns = -(-rows // 2), -(-columns // 2)
        patches = [f"row {row}, column {column}" for row in range(rows) for column in range(columns)]
        return [f"special token {i}" for i in range(special)] + patches

    def check_point(self, point: Tensor, layer: int = 0) -> None:
        """Raise a ValueError unless a point has one row per part, the layer's width and precision, and is finite."""
        self._check_layer(layer)
        blank = self._offset if layer == 0 else self._state(self._inputs(torch.zeros_like(self._black)), layer)
        self._check_rows(point, *blank.shape)

    def bounds(self, point: Float[Tensor, "parts d_model"]) -> Box:
        """Return the paper's feasible box (d_model,): the range of embeddings of images in [0, 1] at any position.

        Source: arXiv 2410.06019, the projection step of Algorithm 1; with the model's normalisation and bias.
        """
        ends = torch.stack([self._patch_black[0], self._patch_black[0] + self._patch_range[0]])
        low, high = ends.amin(0), ends.amax(0)
        positive, negative = self._weight.clamp(min=0), self._weight.clamp(max=0)
        return Box(
            positive @ low + negative @ high + self._offset.amin(0),
            positive @ high + negative @ low + self._offset.amax(0),
        )

    def _inputs(self, pixels: Tensor) -> Inputs:
        return {"pixel_values": pixels[None], **self._prompts}

    def _inputs_like(self, point: Tensor, layer: int, raw: Any) -> Inputs:
        return self._inputs(torch.zeros_like(self._black))

    def _read_logits(self, inputs: Inputs) -> tuple[int | None, Callable[[Any], Tensor]]:
        scores = "logits_per_image" if self.task == IMAGE_PROMPTS else "logits"
        return None, lambda output: output[scores][0]

    @torch.no_grad()
    def _state(self, inputs: Inputs, layer: int) -> Tensor:
        return self._runner.state(inputs, layer)[0]

    def _complete(self, point: Tensor, layer: int) -> Tensor:
        """Put the special tokens, which do not depend on the image at layer 0, before the patches."""
        return torch.cat([self._special_rows, point]) if layer == 0 and len(self._special_rows) else point

    def _embed(self, patches: Tensor) -> Tensor:
        """Embed patches of processed pixels: (parts, pixels of a patch) -> (parts, d_model)."""
        return patches @ self._weight.T + self._offset

    def _unscale(self, patches: Tensor) -> Tensor:
        """Turn patches of processed pixels into pixels in [0, 1]."""
        return (patches - self._patch_black) / self._patch_range

    def _process(self, picture: Image.Image) -> Tensor:
        """Run the checkpoint's own processor on an image: (C, H, W)."""
        try:
            pixels = self.processor(images=[picture], return_tensors="pt")["pixel_values"][0]
        except Exception as error:  # processors have error types of many libraries
            raise ValueError(f"{self.name}: its processor fails on a {picture.mode} image: {error}") from error
        return pixels.to(self.model.device, self.dtype)

    def _pixels(self, raw: Any) -> Tensor:
        """Check a raw image and return its processed pixels (C, H, W)."""
        shape = (self.channels, *self.image_size)
        if isinstance(raw, Image.Image):
            pixels = self._process(self._convert(raw))
            if tuple(pixels.shape) != shape:
                raise ValueError(
                    f"raw: is {raw.size[0]} x {raw.size[1]} and its processor makes {tuple(pixels.shape)} of it, "
                    f"{self.name} takes {shape} (channels, height, width); resize it before"
                )
            return pixels
        return self._check_array(raw) * self._range + self._black

    def _check_array(self, raw: Any) -> Tensor:
        """Check an array of the model's own size and return it as (C, H, W) in [0, 1]."""
        shape, raw = (self.channels, *self.image_size), np.asarray(raw)
        if raw.dtype.kind not in "fb":
            raise ValueError(f"raw: holds {raw.dtype}, wanted floating-point values in [0, 1]; divide bytes by 255")
        image = torch.as_tensor(raw, dtype=self.dtype, device=self.model.device)
        image = image[None] if image.ndim == 2 else image
        if tuple(image.shape) != shape:
            raise ValueError(
                f"raw: has shape {tuple(image.shape)}, {self.name} takes {shape} (channels, height, width); a PIL "
                "image would be resized"
            )
        check_finite(image, "raw")
        if image.min() < 0 or image.max() > 1:
            raise ValueError(f"raw: values run from {image.min():.3g} to {image.max():.3g}, must lie in [0, 1]")
        return image

    def _convert(self, picture: Image.Image) -> Image.Image:
        """Convert a PIL image to the model's channels; transparent areas become white."""
        if picture.mode.startswith(("I", "F")) or 0 in picture.size:
            raise ValueError(
                f"raw: is a PIL image of mode {picture.mode!r} and size {picture.size}, which cannot be converted; "
                "give an array in [0, 1]"
            )
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return picture.convert("L" if self.channels == 1 else "RGB")

    def _patches(self, image: Tensor) -> Tensor:
        """Cut an image (C, H, W) into patches (parts, C * p * p), row by row; a margin beyond them is left out."""
        return unfold(image[None], self.patch_size, stride=self.patch_size)[0].T.contiguous()

    def _assemble(self, patches: Tensor) -> np.ndarray:
        """Assemble patches (..., parts, C * p * p) into images; a margin that the model does not see is zero."""
        flat = patches.reshape(-1, *patches.shape[-2:]).mT
        images = fold(flat, self.image_size, self.patch_size, stride=self.patch_size)
        images = images.reshape(*patches.shape[:-2], *images.shape[1:])
        grey_or_colour = images[..., 0, :, :] if self.channels == 1 else images
        return grey_or_colour.detach().cpu().numpy()


class ViTAdapter(ImageAdapter):
    """A ViT classifier as a map from its patch embeddings to class log-probabilities; see ``ImageAdapter``."""

    families = ("vit",)


class ImagePixelAdapter(ImageAdapter):
    """The same model as a map from pixels: a point has one row of pixels in [0, 1] per patch.

    A point is an image, so what is walked is exactly what is shown.
    """

    def _read_embedding(self) -> None:
        super()._read_embedding()
        self.d_model, self.n_layers = self._weight.shape[1], 0

    def encode(self, raw: Any, layer: int = 0) -> Float[Tensor, "parts pixels"]:
        """Turn an image into a point; errors as in ``ImageAdapter.encode``."""
        self._check_layer(layer)
        if isinstance(raw, Image.Image):
            return self._unscale(self._patches(self._pixels(raw)))
        return self._patches(self._check_array(raw))

    def decode(self, point: Float[Tensor, "*batch parts pixels"]) -> np.ndarray:
        """Turn points into images, clipped to [0, 1]."""
        return self._assemble(point).clip(0, 1)

    def decode_move(self, tangent_vec: Float[Tensor, "*batch parts pixels"]) -> np.ndarray:
        """Turn tangent vectors into changes of the image, of either sign."""
        return self._assemble(tangent_vec)

    def _complete(self, point: Tensor, layer: int) -> Tensor:
        return super()._complete(self._embed(point * self._patch_range + self._patch_black), layer)

    def check_point(self, point: Tensor, layer: int = 0) -> None:
        """Raise a ValueError unless a point has one row of pixels per patch, the model's precision, and is finite."""
        self._check_layer(layer)
        self._check_rows(point, len(self._offset), self.d_model)

    def bounds(self, point: Float[Tensor, "parts pixels"]) -> Box:
        """Return the range of pixels, 0 to 1."""
        return Box(torch.tensor(0.0, device=self.model.device), torch.tensor(1.0, device=self.model.device))
