"""Make a bundled checkpoint: ``python -m data.training vit-digits``."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import torch

from data.training import bert, gpt2, llama, vision

RECIPES = {
    "vit-digits": vision.train_vit_digits,
    "vit-mnist": vision.train_vit_mnist,
    "vit-cifar10": vision.train_vit_cifar10,
    "bert-reviews": bert.train_bert_reviews,
    "bert-sentiment": bert.train_bert_sentiment,
    "llama-reviews": llama.train_llama,
    "gpt2-sentiment": gpt2.train_gpt2_sentiment,
    **{name: partial(gpt2.train_gpt2, name) for name in gpt2.RECIPES},
}
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Parse the command line, train, store and print the quality figures."""
    parser = argparse.ArgumentParser(prog="python -m data.training", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads to use")
    parser.add_argument("--target", type=Path, default=ROOT / "data/models", help="where finished models go")
    parser.add_argument("--work", type=Path, default=ROOT / "runs", help="where checkpoints and logs go")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    work, target = arguments.work / arguments.name, arguments.target / arguments.name
    figures = RECIPES[arguments.name](work, target, arguments.device)
    (work / "figures.json").write_text(json.dumps(figures, indent=2))
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")


if __name__ == "__main__":
    main()
