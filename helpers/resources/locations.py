"""Where the files that come with the project are stored."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Return the folder that holds the bundled models, sentences and results.

    A wheel carries it inside the package; in a clone it lies beside the package.
    """
    packaged = PACKAGE / "data"
    return packaged if packaged.is_dir() else PACKAGE.parent / "data"
