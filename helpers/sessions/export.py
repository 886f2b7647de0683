"""What can be taken away from a session: a table, a moving picture, and the code that repeats it."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict

import pandas as pd
from PIL import Image

from helpers.sessions.session import Frame
from helpers.sessions.walk import WalkChoices, WalkSession

SIDE = 280  # pixels of a moving picture's longer side, at least
FRAME_TIME = 200  # milliseconds per point


def tabulate_frames(session: WalkSession) -> pd.DataFrame:
    """Return one row per point: algorithm, travel, drift, each output by name, and the tokens of a sentence."""
    names = [*session.input.f.names, *session.describe()["watched"]]
    rows = []
    for number, frame in enumerate(session.frames):
        row: Frame = {"point": number} | {name: frame[name] for name in ("algorithm", "travel", "drift")}
        row |= dict(zip(names, [*frame["outputs"], *frame.get("watched", [])], strict=True))
        rows.append(row | ({"tokens": " ".join(frame["tokens"])} if "tokens" in frame else {}))
    return pd.DataFrame(rows)


def write_gif(session: WalkSession) -> bytes:
    """Write the pictures of a walk as a GIF, each point as long as every other.

    Raises:
        ValueError: the frames hold no pictures.
    """
    if "picture" not in session.frames[0]:
        raise ValueError("session: its frames hold tokens, not pictures; tabulate_frames lists them")
    pictures = [_read_picture(frame["picture"]) for frame in session.frames]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=FRAME_TIME, loop=0)
    return buffer.getvalue()


def _read_picture(address: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    scale = max(1, -(-SIDE // max(picture.size)))
    return picture.resize((scale * picture.width, scale * picture.height), Image.Resampling.NEAREST)


def write_code(session: WalkSession, name: str = "walker") -> str:
    """Write the code that makes the walk again, point by point, in a notebook where a widget of that name shows it."""
    lines = [
        "from helpers.sessions import WalkSession",
        f"session = WalkSession({name}.walk.input, settings={name}.settings, seed={session.seed})",
    ]
    before, count = session.first_choices, 0
    for point in session.points[1:]:
        chosen: WalkChoices = point.choices
        changed = {key: value for key, value in asdict(chosen).items() if value != getattr(before, key)}
        if changed or (point.begins and count):
            lines += _repeat(count)
            count = 0
            lines.append(
                f"session.choose({', '.join(f'{key}={value!r}' for key, value in changed.items())})"
                if changed
                else "session.interrupt()  # the walk began again here"
            )
        before, count = chosen, count + 1
    return "\n".join([*lines, *_repeat(count), "session.path"])


def _repeat(count: int) -> list[str]:
    return [f"for _ in range({count}):", "    session.step()"] if count else []
