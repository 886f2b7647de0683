"""Measure a bundled ViT in class space beside random models: ``python -m tests.benchmarks.class_space MODEL [COUNT]``.

The images are held-out ones of the model's own data set. The control is the mean over three models of the same
configuration with random weights; for the agreement of keys with values it is also another class of the same model.
Prints one table per measure: value, control and their difference with its 95% interval, per layer.
"""

import sys
from tempfile import TemporaryDirectory

import numpy as np
import torch

from helpers import datasets
from helpers.adapters import ViTAdapter
from helpers.measures import compare_class_space, measure_class_space
from helpers.resources import make_random_model
from helpers.weights import load_weights

IMAGES = {"vit-digits": datasets.load_digits, "vit-mnist": datasets.load_mnist, "vit-cifar10": datasets.load_cifar10}
SEEDS = range(3)


def measure(name, count):
    """Return the tables of a model beside random models, and beside another class of the same model."""
    test = IMAGES[name]("test")
    images, labels = test.images[:count], test.labels[:count]
    others = (labels + np.random.default_rng(0).integers(1, 10, count)) % 10
    own = measure_class_space(ViTAdapter.load(name), load_weights(name), images, labels)
    other = measure_class_space(ViTAdapter.load(name), load_weights(name), images, others)
    with TemporaryDirectory() as folder:
        random = []
        for seed in SEEDS:
            made = make_random_model(name, f"{folder}/{seed}", seed)
            random.append(measure_class_space(ViTAdapter.load(made), load_weights(made), images, labels))
        return compare_class_space(own, random), compare_class_space(own, [other])


def main(name, count="200"):
    torch.set_num_threads(1)
    for control, tables in zip(("random models", "another class"), measure(name, int(count)), strict=True):
        for measure_name, table in tables.items():
            if control == "random models" or "key-value" in measure_name:
                print(f"\n{name}, {count} images: {measure_name}; control: {control}")
                print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
