"""Vision Transformer classifiers as maps from their patch embeddings or from their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import ViTForImageClassification, ViTImageProcessorPil

from helpers.adapters.base import Adapter
from helpers.geometry import Box, check_finite
from helpers.resources import label_names, load_config, load_model, load_pretrained


class ViTAdapter(Adapter):
    """A Hugging Face ViT classifier as a map from its patch embeddings to class log-probabilities.

    A point has one row per patch: the patch's pixels through the patch embedding, plus the vector of its position. The
    class token does not depend on the image and is no part of the point. The patch embedding is read once: after a
    change of its weights, create a new adapter.

    Source: arXiv 2410.06019, section 4.
    """

    def __init__(self, name: str, model: ViTForImageClassification, processor: ViTImageProcessorPil):
        config, embeddings = model.config, model.vit.embeddings
        self.name, self.model, self.processor = name, model, processor
        self.class_names = label_names(config)
        self.channels = config.num_channels
        self.image_size = _side("image_size", config.image_size)
        self.patch_size = _side("patch_size", config.patch_size)
        side = self.image_size // self.patch_size
        self.grid = (side, side)
        positions, projection = embeddings.position_embeddings[0], embeddings.patch_embeddings.projection
        self._weight = projection.weight.flatten(1)  # (d_model, pixels of a patch)
        self._offset = positions[1:] + projection.get_parameter("bias")  # (parts, d_model)
        self._class_token = embeddings.cls_token[0] + positions[:1]
        self._inverse = torch.linalg.pinv(self._weight.cpu().double()).to(self._weight)
        self._mean, self._std = self._normalisation()
        self.d_model, self.dtype = len(self._weight), self._weight.dtype

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        """Return the mean and standard deviation that normalise pixels in [0, 1], one value per pixel of a patch."""
        processor = self.processor
        scale = 255 * float(processor.rescale_factor) if processor.do_rescale else 255.0
        mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
        return self._per_pixel("image_mean", mean, scale), self._per_pixel("image_std", std, scale)

    def _per_pixel(self, name: str, values: Any, scale: float) -> Tensor:
        """Repeat the processor's value per channel, or one for all, for every pixel of a patch."""
        channels = np.atleast_1d(np.asarray(values, dtype=float))
        if len(channels) not in (1, self.channels):
            raise ValueError(
                f"{self.name}: {name} of its processor has {len(channels)} values, its images {self.channels} channels"
            )
        per_channel = torch.as_tensor(np.broadcast_to(channels, self.channels) / scale, dtype=self._weight.dtype)
        return per_channel.repeat_interleave(self.patch_size**2).to(self._weight.device)

    @classmethod
    def load(
        cls,
        name: str | Path = "vit-digits",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> ViTAdapter:
        """Load a ViT classifier by bundled name, local folder or hub id, onto a device and in a precision.

        Raises:
            ModelNotFoundError: no such model exists, or the hub cannot be reached.
            ValueError: the model is no ViT for square images, or the precision is too low for walks.
        """
        load_config(name, {"vit": []})
        processor = load_pretrained(ViTImageProcessorPil, name)
        return cls(str(name), load_model(ViTForImageClassification, name, device, dtype), processor)

    def in_pixels(self) -> ViTPixelAdapter:
        """Return the same model as a map from its pixels."""
        return ViTPixelAdapter(self.name, self.model, self.processor)

    def encode(self, raw: Any) -> Float[Tensor, "parts d_model"]:
        """Turn an image into a point.

        Args:
            raw: a PIL image, which is resized and converted to the model's channels, or an array (H, W) or
                (C, H, W) with values in [0, 1] and exactly the model's size.

        Raises:
            ValueError: an array of the wrong size, with the wrong channels, or with values outside [0, 1].
        """
        return self._embed(self._patches(self._image(raw)))

    def decode(self, point: Float[Tensor, "*batch parts d_model"]) -> np.ndarray:
        """Turn points into images by the pseudo-inverse of the patch embedding.

        Returns:
            (..., H, W) for a model of grey images, else (..., C, H, W), clipped to [0, 1].
        """
        normalised = (point - self._offset) @ self._inverse.T
        return self._assemble(normalised * self._std + self._mean).clip(0, 1)

    def decode_move(self, tangent_vec: Float[Tensor, "*batch parts d_model"]) -> np.ndarray:
        """Turn tangent vectors into changes of the image, of either sign: the linear part of ``decode``."""
        return self._assemble(tangent_vec.to(self._inverse.dtype) @ self._inverse.T * self._std)

    def log_probabilities(self, point: Float[Tensor, "parts d_model"]) -> Float[Tensor, " k"]:
        """Return the log-probabilities of the classes at one whole point."""
        hidden = torch.cat([self._class_token, point])[None]
        for layer in self.model.vit.layers:
            hidden = layer(hidden)
        logits = self.model.classifier(self.model.vit.layernorm(hidden)[:, 0])
        return logits[0].log_softmax(-1)

    def part_names(self, point: Float[Tensor, "parts d_model"]) -> list[str]:
        """Name the patches by row and column, counted from 0 at the top left."""
        rows, columns = self.grid
        return [f"row {row}, column {column}" for row in range(rows) for column in range(columns)]

    def bounds(self, point: Float[Tensor, "parts d_model"]) -> Box:
        """Return the paper's feasible box (d_model,): the range of embeddings of images in [0, 1] at any position.

        Source: arXiv 2410.06019, the projection step of Algorithm 1; with the model's normalisation and bias.
        """
        black, white = (0 - self._mean) / self._std, (1 - self._mean) / self._std
        positive, negative = self._weight.clamp(min=0), self._weight.clamp(max=0)
        return Box(
            positive @ black + negative @ white + self._offset.amin(0),
            positive @ white + negative @ black + self._offset.amax(0),
        )

    def _embed(self, patches: Tensor) -> Tensor:
        """Embed patches of pixels in [0, 1]: (parts, pixels of a patch) -> (parts, d_model)."""
        return (patches - self._mean) / self._std @ self._weight.T + self._offset

    def _image(self, raw: Any) -> Tensor:
        """Check a raw image and return it as (C, H, W) in [0, 1]."""
        size = self.image_size
        if isinstance(raw, Image.Image):
            raw = self._fit(raw)
        raw = np.asarray(raw)
        if raw.dtype.kind not in "fb":
            raise ValueError(f"raw: holds {raw.dtype}, wanted floating-point values in [0, 1]; divide bytes by 255")
        image = torch.as_tensor(raw, dtype=self.dtype, device=self.model.device)
        image = image[None] if image.ndim == 2 else image
        if tuple(image.shape) != (self.channels, size, size):
            raise ValueError(
                f"raw: has shape {tuple(image.shape)}, {self.name} takes {(self.channels, size, size)} (channels, "
                "height, width); a PIL image would be resized"
            )
        check_finite(image, "raw")
        if image.min() < 0 or image.max() > 1:
            raise ValueError(f"raw: values run from {image.min():.3g} to {image.max():.3g}, must lie in [0, 1]")
        return image

    def _fit(self, picture: Image.Image) -> np.ndarray:
        """Resize a PIL image and convert it to the model's channels; transparent areas become white."""
        if picture.mode.startswith(("I", "F")) or 0 in picture.size:
            raise ValueError(
                f"raw: is a PIL image of mode {picture.mode!r} and size {picture.size}, which cannot be converted; "
                "give an array in [0, 1]"
            )
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        converted = picture.convert("L" if self.channels == 1 else "RGB")
        resized = converted.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR)
        values = np.asarray(resized, dtype=np.float32) / 255
        return values if values.ndim == 2 else values.transpose(2, 0, 1)

    def _patches(self, image: Tensor) -> Tensor:
        """Cut an image (C, H, W) into patches (parts, C * p * p), row by row."""
        p, (rows, columns) = self.patch_size, self.grid
        cut = image.reshape(self.channels, rows, p, columns, p).permute(1, 3, 0, 2, 4)
        return cut.reshape(rows * columns, -1)

    def _assemble(self, patches: Tensor) -> np.ndarray:
        """Assemble patches (..., parts, C * p * p) into images."""
        p, (rows, columns), lead = self.patch_size, self.grid, patches.shape[:-2]
        spread = patches.reshape(*lead, rows, columns, self.channels, p, p).movedim(-3, -5)
        images = spread.transpose(-3, -2).reshape(*lead, self.channels, self.image_size, self.image_size)
        grey_or_colour = images[..., 0, :, :] if self.channels == 1 else images
        return grey_or_colour.detach().cpu().numpy()


class ViTPixelAdapter(ViTAdapter):
    """The same model as a map from pixels: a point has one row of pixels in [0, 1] per patch.

    A point is an image, so what is walked is exactly what is shown.
    """

    def __init__(self, name: str, model: ViTForImageClassification, processor: ViTImageProcessorPil):
        super().__init__(name, model, processor)
        self.d_model = self._weight.shape[1]

    def encode(self, raw: Any) -> Float[Tensor, "parts pixels"]:
        """Turn an image into a point; errors as in ``ViTAdapter.encode``."""
        return self._patches(self._image(raw))

    def decode(self, point: Float[Tensor, "*batch parts pixels"]) -> np.ndarray:
        """Turn points into images, clipped to [0, 1]."""
        return self._assemble(point).clip(0, 1)

    def decode_move(self, tangent_vec: Float[Tensor, "*batch parts pixels"]) -> np.ndarray:
        """Turn tangent vectors into changes of the image, of either sign."""
        return self._assemble(tangent_vec)

    def log_probabilities(self, point: Float[Tensor, "parts pixels"]) -> Float[Tensor, " k"]:
        """Return the log-probabilities of the classes at one whole point."""
        return super().log_probabilities(self._embed(point))

    def bounds(self, point: Float[Tensor, "parts pixels"]) -> Box:
        """Return the range of pixels, 0 to 1."""
        return Box(torch.tensor(0.0, device=self.model.device), torch.tensor(1.0, device=self.model.device))


def _side(name: str, size: Any) -> int:
    """Return the side of a square given in a configuration as one number or as two equal ones."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(f"{name}={size}: wanted a ViT with square images and patches")
    return int(sides.pop())
