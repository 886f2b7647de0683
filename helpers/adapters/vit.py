"""Vision Transformer classifiers, seen from their patch embeddings or from their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, ViTForImageClassification, ViTImageProcessorPil

from helpers.adapters.base import Adapter
from helpers.geometry import Box, check_finite
from helpers.resources import load_model, load_pretrained


class ViTAdapter(Adapter):
    """A Hugging Face ViT classifier as a map from its patch embeddings to class log-probabilities.

    A point has one row a patch: the patch's pixels through the patch embedding, plus its position's vector. The
    class token does not depend on the image and is no part of the point.

    Source: arXiv 2410.06019, section 4.
    """

    def __init__(self, name: str, model: ViTForImageClassification, processor: ViTImageProcessorPil):
        config = model.config
        self.name, self.model, self.processor = name, model, processor
        self.channels, self.image_size, self.patch_size = (
            config.num_channels,
            config.image_size,
            config.patch_size,
        )
        side = self.image_size // self.patch_size
        self.grid = (side, side)
        self.part_names = [f"row {r}, column {c}" for r in range(side) for c in range(side)]
        self.class_names = [config.id2label[i] for i in range(config.num_labels)]
        embeddings = model.vit.embeddings
        positions = embeddings.position_embeddings[0]
        projection = embeddings.patch_embeddings.projection
        self._weight = projection.weight.flatten(1)  # (d_model, pixels of a patch)
        self._offset = positions[1:] + projection.bias  # (parts, d_model)
        self._class_token = embeddings.cls_token[0] + positions[:1]
        self._inverse = torch.linalg.pinv(self._weight.cpu().double()).to(self._weight)
        self._mean, self._std = self._normalisation()

    @property
    def d_model(self) -> int:
        """Coordinates of a patch."""
        return len(self._weight)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of a point."""
        return self._weight.dtype

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        """Mean and spread by which pixels in [0, 1] become the model's input, one for each pixel of a patch."""
        told = self.processor
        scale = 255 * told.rescale_factor if told.do_rescale else 255.0
        mean, std = (told.image_mean, told.image_std) if told.do_normalize else ([0.0], [1.0])
        found = []
        for name, values in (("image_mean", mean), ("image_std", std)):
            values = list(values) * self.channels if len(values) == 1 else list(values)
            if len(values) != self.channels:
                raise ValueError(
                    f"{self.name}: its {name} has {len(values)} values, its images {self.channels} channels"
                )
            spread = torch.tensor(values, device=self.model.device, dtype=self.model.dtype) / scale
            found.append(spread.repeat_interleave(self.patch_size**2))
        return found[0], found[1]

    @classmethod
    def load(
        cls,
        name: str | Path = "vit-digits",
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> ViTAdapter:
        """Load a ViT classifier by bundled name, local folder or hub id, onto a device and in a precision.

        Raises:
            ModelNotFoundError: there is no such model, or the hub cannot be reached.
            ValueError: the model is no ViT, or the precision is too low for walks.
        """
        config = load_pretrained(AutoConfig, name)
        if config.model_type != "vit":
            raise ValueError(f"name={str(name)!r}: is a {config.model_type!r} model, wanted 'vit'")
        processor = load_pretrained(ViTImageProcessorPil, name)
        return cls(str(name), load_model(ViTForImageClassification, name, device, dtype), processor)

    def in_pixels(self) -> ViTPixelAdapter:
        """Return the same model seen from its pixels."""
        return ViTPixelAdapter(self.name, self.model, self.processor)

    def encode(self, raw: Any) -> Tensor:
        """Turn an image into a point (parts, d_model).

        Args:
            raw: a PIL image, which is resized and given the model's channels, or an array (H, W) or (C, H, W)
                in [0, 1] of exactly the model's size.

        Raises:
            ValueError: an array of the wrong size, with the wrong channels, or with values outside [0, 1].
        """
        return self._embed(self._patches(self._image(raw)))

    def decode(self, point: Tensor) -> np.ndarray:
        """Turn points (..., parts, d_model) into images in [0, 1], through the patch embedding's pseudo-inverse.

        Returns:
            (..., H, W) for a model of grey images, else (..., C, H, W). Values outside [0, 1] are cut off.
        """
        normalised = (point - self._offset) @ self._inverse.T
        return self._assemble(normalised * self._std + self._mean).clip(0, 1)

    def decode_move(self, tangent_vec: Tensor) -> np.ndarray:
        """Turn moves (..., parts, d_model) into changes of the image, of either sign: the linear part of ``decode``."""
        return self._assemble(tangent_vec.to(self._inverse.dtype) @ self._inverse.T * self._std)

    def log_probabilities(self, point: Tensor) -> Tensor:
        """Class log-probabilities (k,) of one whole point of patch embeddings."""
        hidden = torch.cat([self._class_token, point])[None]
        for layer in self.model.vit.layers:
            hidden = layer(hidden)
        logits = self.model.classifier(self.model.vit.layernorm(hidden)[:, 0])
        return logits[0].log_softmax(-1)

    def bounds(self) -> Box:
        """Return the paper's feasible box: what images in [0, 1] can reach at any position; (d_model,).

        Source: arXiv 2410.06019, the projection step of Algorithm 1; with the model's normalisation and bias.
        """
        lowest, highest = (0 - self._mean) / self._std, (1 - self._mean) / self._std
        up, down = self._weight.clamp(min=0), self._weight.clamp(max=0)
        return Box(
            up @ lowest + down @ highest + self._offset.amin(0),
            up @ highest + down @ lowest + self._offset.amax(0),
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
            raise ValueError(
                f"raw: holds {raw.dtype}, wanted floating-point values in [0, 1]; bytes divided by 255, say"
            )
        image = torch.as_tensor(raw, dtype=self.dtype, device=self.model.device)
        image = image[None] if image.ndim == 2 else image
        if tuple(image.shape) != (self.channels, size, size):
            raise ValueError(
                f"raw: has shape {tuple(image.shape)}, {self.name} takes {(self.channels, size, size)} (channels, "
                "height, width); a PIL image is resized for you"
            )
        check_finite(image, "raw")
        if image.min() < 0 or image.max() > 1:
            raise ValueError(f"raw: values run from {image.min():.3g} to {image.max():.3g}, must lie in [0, 1]")
        return image

    def _fit(self, picture: Image.Image) -> np.ndarray:
        """Give a PIL image the model's size and channels; what is transparent becomes white."""
        if picture.mode.startswith(("I", "F")) or 0 in picture.size:
            raise ValueError(
                f"raw: a PIL image of mode {picture.mode!r} and size {picture.size}; give an array in [0, 1]"
            )
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        fitted = picture.convert("L" if self.channels == 1 else "RGB")
        fitted = fitted.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR)
        values = np.asarray(fitted, dtype=np.float32) / 255
        return values if values.ndim == 2 else values.transpose(2, 0, 1)

    def _patches(self, image: Tensor) -> Tensor:
        """Cut an image (C, H, W) into patches (parts, C * p * p), row by row."""
        p, (rows, columns) = self.patch_size, self.grid
        cut = image.reshape(self.channels, rows, p, columns, p).permute(1, 3, 0, 2, 4)
        return cut.reshape(rows * columns, -1)

    def _assemble(self, patches: Tensor) -> np.ndarray:
        """Put patches (..., parts, C * p * p) together to images."""
        p, (rows, columns), lead = self.patch_size, self.grid, patches.shape[:-2]
        spread = patches.reshape(*lead, rows, columns, self.channels, p, p).movedim(-3, -5)
        images = spread.transpose(-3, -2).reshape(*lead, self.channels, self.image_size, self.image_size)
        images = images.detach().cpu().numpy()
        return images[..., 0, :, :] if self.channels == 1 else images


class ViTPixelAdapter(ViTAdapter):
    """The same model as a map from pixels: a point has one row of pixels in [0, 1] a patch.

    The patch embedding is linear, so decoding is exact: a pixel walk has no gap between what was walked and
    what is shown.
    """

    @property
    def d_model(self) -> int:
        """Pixels of a patch."""
        return self._weight.shape[1]

    def in_pixels(self) -> ViTPixelAdapter:
        """Return itself."""
        return self

    def encode(self, raw: Any) -> Tensor:
        """Turn an image into a point (parts, pixels of a patch); errors as in ``ViTAdapter.encode``."""
        return self._patches(self._image(raw))

    def decode(self, point: Tensor) -> np.ndarray:
        """Turn points (..., parts, pixels of a patch) into images; values outside [0, 1] are cut off."""
        return self._assemble(point).clip(0, 1)

    def decode_move(self, tangent_vec: Tensor) -> np.ndarray:
        """Turn moves (..., parts, pixels of a patch) into changes of the image, of either sign."""
        return self._assemble(tangent_vec)

    def log_probabilities(self, point: Tensor) -> Tensor:
        """Class log-probabilities (k,) of one whole point of pixels."""
        return super().log_probabilities(self._embed(point))

    def bounds(self) -> Box:
        """Return the pixels' range, 0 to 1."""
        return Box(torch.tensor(0.0, device=self.model.device), torch.tensor(1.0, device=self.model.device))
