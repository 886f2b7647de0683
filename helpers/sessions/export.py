"""What can be taken away from a session: a table, a moving picture or a film, and the code that repeats it."""

from __future__ import annotations

import base64
import importlib
import io
import shutil
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from PIL import Image

from helpers.sessions.race import Race
from helpers.sessions.session import Frame, Session
from helpers.sessions.walk import WalkSession

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
    pictures, buffer = _read_pictures(session), io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=FRAME_TIME, loop=0)
    return buffer.getvalue()


def write_mp4(session: WalkSession) -> bytes:
    """Write the pictures of a walk as an MP4 film, each point as long as every other.

    Raises:
        ValueError: the frames hold no pictures, or the program FFmpeg, which writes films, is not there or refuses.
    """
    pictures = [picture.convert("RGB") for picture in _read_pictures(session)]
    width, height = pictures[0].size
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "walk.mp4"
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(1000 / FRAME_TIME)]
        form = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]  # all players
        command = [_find_ffmpeg(), "-v", "error", *source, "-i", "-", *form, str(film)]
        result = subprocess.run(command, input=b"".join(p.tobytes() for p in pictures), capture_output=True)
        if result.returncode:
            raise ValueError(f"mp4: FFmpeg refused: {result.stderr.decode(errors='replace').strip()[:300]}; take a GIF")
        return film.read_bytes()


def _find_ffmpeg() -> str:
    """Find the program FFmpeg on the path, or in the package imageio-ffmpeg, which carries it."""
    if program := shutil.which("ffmpeg"):
        return program
    try:
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        advice = "install it, or run pip install imageio-ffmpeg (about 70 MB); a GIF needs neither"
        raise ValueError(f"mp4: the program ffmpeg, which writes films, is not on this machine; {advice}") from None


def _read_pictures(session: WalkSession) -> list[Image.Image]:
    if "picture" not in session.frames[0]:
        raise ValueError("session: its frames hold tokens, not pictures; tabulate_frames lists them")
    pictures = (Image.open(io.BytesIO(base64.b64decode(f["picture"].split(",")[1]))) for f in session.frames)
    return [picture.resize(_enlarge(picture.size), Image.Resampling.NEAREST) for picture in pictures]


def _enlarge(size: tuple[int, int]) -> tuple[int, int]:
    scale = max(1, -(-SIDE // max(size)))
    return scale * size[0], scale * size[1]


def write_code(session: Session | Race, arguments: str) -> str:
    """Write the code that makes a session again, point by point.

    Args:
        session: the walk or the race.
        arguments: what its class takes, as code.
    """
    kind = type(session).__name__
    lines = [f"from helpers.sessions import {kind}", f"session = {kind}({arguments})"]
    before, count = session.first_choices, 0
    for choices, begins in session.moves:
        changed = [f"{k}={v!r}" for k, v in asdict(choices).items() if v != getattr(before, k)]
        if changed or (begins and count):
            lines += _repeat(count)
            lines.append(f"session.choose({', '.join(changed)})" if changed else "session.interrupt()")
            count = 0
        before, count = choices, count + 1
    return "\n".join([*lines, *_repeat(count), "session.paths" if isinstance(session, Race) else "session.path"])


def _repeat(count: int) -> list[str]:
    return [f"for _ in range({count}):", "    session.step()"] if count > 1 else ["session.step()"] * count
