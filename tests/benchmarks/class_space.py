"""Measure the bundled ViTs in class space, each beside random models: ``python -m tests.benchmarks.class_space``.

Writes ``data/results/class_space.parquet``, ``class_space.md`` and its figure. The images are held-out ones of each
model's own data set, evenly spaced. The control is the mean over four models of the same configuration with random
weights, and for the agreement of keys with values also another class of the same model. An interval of the difference
is paired over images, or over classes for the agreement of classes with values; with random models it goes from the
lowest end to the highest over the four.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from helpers import datasets
from helpers.adapters import ViTAdapter
from helpers.datasets import LabelledImages
from helpers.figures.style import COLOURS, CONTROL_COLOUR, styled
from helpers.measures import compare_class_space, measure_class_space
from helpers.resources import make_random_model
from helpers.sweep.results import BUNDLED_RESULTS, write_table
from helpers.weights import load_weights

IMAGES: dict[str, Callable[[str], LabelledImages]] = {
    "vit-digits": datasets.load_digits,
    "vit-mnist": datasets.load_mnist,
    "vit-cifar10": datasets.load_cifar10,
}
MOST = 1000  # images of a data set; the digits have 364
SEEDS = range(4)  # of the random models
PANELS = {  # measure and control -> what its row of panels is called
    ("identifiability, [CLS]", "random models"): "identifiability,\n[CLS]",
    ("identifiability, patches", "random models"): "identifiability,\npatches",
    ("class-value agreement, MLP", "random models"): "class-value,\nMLP",
    ("class-value agreement, attention", "random models"): "class-value,\nattention",
    ("key-value agreement, MLP, [CLS]", "another class"): "key-value, MLP,\n[CLS]",
    ("key-value agreement, MLP, patches", "another class"): "key-value, MLP,\npatches",
}
REPORT = Path(__file__).with_suffix(".md")
PICTURE = Path(__file__).parents[2] / "data" / "pictures" / "class_space.png"
TITLE = "# Vision Transformers in class space, measured"
NOTEBOOK = "notebooks/10_vit_in_class_space__which_layers_hold_a_walk.ipynb"
DESCRIPTION = (
    "Six measures per block, a column of panels per model: [CLS] can be identified early and patches later, both beyond"
    " random models; class-value agreement rises beyond them in the first model, and in the last block of the third"
)
TEXT = """
Solid lines: the model. Dotted lines: its control, the mean of four models with random weights; for key-value
agreement, another class of the same model. Bars: the 95% interval of the difference from the control, over images,
or over the ten classes for class-value agreement; with random models it goes from the lowest end to the highest over
the four. Identifiability is 0.55 by chance. The intervals are not corrected for their number.
"""


def measure(name: str) -> Iterator[pd.DataFrame]:
    """Yield the tables of a model beside random models and beside another class of the same model."""
    test = IMAGES[name]("test")
    chosen = np.linspace(0, len(test) - 1, min(MOST, len(test))).round().astype(int)
    images, labels = test.images[chosen], test.labels[chosen]
    others = (labels + np.random.default_rng(0).integers(1, 10, len(labels))) % 10
    own = measure_class_space(ViTAdapter.load(name), load_weights(name), images, labels)
    other = measure_class_space(ViTAdapter.load(name), load_weights(name), images, others)
    with TemporaryDirectory() as folder:
        made = [make_random_model(name, f"{folder}/{seed}", seed) for seed in SEEDS]
        random = [measure_class_space(ViTAdapter.load(each), load_weights(each), images, labels) for each in made]
    for control, each in {"random models": random, "another class": [other]}.items():
        for quantity, table in compare_class_space(own, each).items():
            if control == "random models" or quantity.startswith("key-value"):
                about = {"model": name, "images": len(labels), "measure": quantity, "control of": control}
                yield table.assign(**about)[[*about, *table.columns]]


@styled
def draw_models(results: pd.DataFrame) -> Figure:
    """Draw six measures per block beside their controls, one column of panels per model."""
    fig, axes = plt.subplots(len(PANELS), len(IMAGES), figsize=(6.6, 10.5), sharex=True, sharey=True)
    for row, ((quantity, control), title) in zip(axes, PANELS.items(), strict=True):
        for ax, model in zip(row, IMAGES, strict=True):
            table = select(results, model, quantity, control)
            ends = np.abs(np.stack([table["low"], table["high"]]) - table["difference"].to_numpy())
            ax.errorbar(table["layer"], table["value"], yerr=ends, color=COLOURS[0], marker="o", ms=4, capsize=3)
            ax.plot(table["layer"], table["control"], color=CONTROL_COLOUR, ls=":", marker="s", ms=4)
            ax.set(ylim=(0, 1.1), xticks=table["layer"])
        row[0].set_ylabel(title)
    for first, last, model in zip(axes[0], axes[-1], IMAGES, strict=True):
        first.set_title(model)
        last.set_xlabel("block")
    return fig


def select(results: pd.DataFrame, model: str, quantity: str, control: str) -> pd.DataFrame:
    """Select the rows of a model, a measure and a control."""
    return results[
        (results["model"] == model) & (results["measure"] == quantity) & (results["control of"] == control)
    ].reset_index(drop=True)


def write_report(results: pd.DataFrame) -> str:
    """Write the page: the figure and one table per measure, with value, control and interval of the difference."""
    made = (
        f"Written by `python -m tests.benchmarks.class_space`. Notebook [10](../../{NOTEBOOK}) explains the measures."
    )
    lines = [TITLE, "", made, "", f"![{DESCRIPTION}.](../../data/pictures/{PICTURE.name})", TEXT]
    counts = results.groupby("model", sort=False)["images"].first()
    lines.append("Images: " + ", ".join(f"{count:,} for `{name}`" for name, count in counts.items()) + ".")
    lines.append("Each cell below has value, control; 95% interval of the difference.\n")
    blocks = " | ".join(f"block {i}" for i in sorted(results["layer"].unique()))
    for quantity, control in results[["measure", "control of"]].drop_duplicates().itertuples(index=False):
        lines += [
            f"## {quantity}, beside {control}",
            "",
            f"| model | {blocks} |",
            "|---" * (2 + blocks.count("|")) + "|",
        ]
        for model in IMAGES:
            table = select(results, model, quantity, control)
            cells = [f"{r.value:.2f}, {r.control:.2f}; {r.low:+.2f} to {r.high:+.2f}" for r in table.itertuples()]
            lines.append(f"| `{model}` | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure the three models, and store the table, the page and the figure."""
    torch.set_num_threads(1)
    results = pd.concat([table for name in IMAGES for table in measure(name)], ignore_index=True)
    write_table(results, BUNDLED_RESULTS.with_stem("class_space"))
    REPORT.write_text(write_report(results))
    draw_models(results).savefig(PICTURE, bbox_inches="tight", dpi=100)
    Image.open(PICTURE).convert("RGB").quantize(32, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
