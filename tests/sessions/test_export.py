"""What can be taken away from a session."""

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from helpers.sessions import (
    ImageInput,
    SentenceInput,
    WalkSession,
    export,
    tabulate_frames,
    write_code,
    write_gif,
    write_mp4,
)

TEXT = "The story is slow, but the two leads are a delight."


@pytest.fixture
def session(vit, digits):
    session = WalkSession(ImageInput(vit.in_pixels(), digits.images[17]), seed=3)
    for choices, steps in (({}, 2), ({"algorithm": "SiMExp", "parts": [10, 11]}, 2), ({"algorithm": "corrected"}, 3)):
        session.choose(**choices)
        for _ in range(steps):
            session.step()
    return session


def test_the_code_makes_the_same_walk_again(session):
    session.interrupt()  # the same choices, but another generator
    session.step()
    session.select(6)
    session.choose(step_length="long")
    session.step()
    names = {"start": session.input}
    code = write_code(session, "start, seed=3")
    assert code.count("session.choose(") == 3
    exec(code, names)
    assert torch.equal(names["session"].path.points, session.path.points)
    assert names["session"].frames == session.frames


def test_a_walk_that_began_again_is_begun_again(session):
    session.interrupt()
    session.step()
    code = write_code(session, "start, seed=3")
    assert "session.interrupt()" in code
    names = {"start": session.input}
    exec(code, names)
    assert torch.equal(names["session"].path.points, session.path.points)


def test_the_table_holds_the_outputs_by_name(session, bert):
    table = tabulate_frames(session)
    assert list(table.columns) == ["point", "algorithm", "travel", "drift", *map(str, range(10))]
    assert table["algorithm"].tolist() == ["", "corrected", "corrected", "SiMExp", "SiMExp", *["corrected"] * 3]
    assert table["3"].tolist() == pytest.approx(session.path.outputs[:, 3].tolist(), rel=1e-4, abs=1e-6)
    sentence = WalkSession(SentenceInput(bert, TEXT))
    assert tabulate_frames(sentence)["tokens"][0].startswith("[CLS] the story")
    with pytest.raises(ValueError, match="hold tokens, not pictures"):
        write_gif(sentence)


def test_the_gif_has_a_picture_per_point(session):
    gif = Image.open(io.BytesIO(write_gif(session)))
    durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]  # equal pictures become one
    assert (sum(durations), gif.size) == (8 * 200, (280, 280))
    assert gif.n_frames > 1


def test_without_ffmpeg_the_film_says_what_to_install(vit, digits, monkeypatch):
    session = WalkSession(ImageInput(vit.in_pixels(), digits.images[17]))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match=r"ffmpeg.* is not on this machine; .*pip install imageio-ffmpeg"):
        write_mp4(session)
    monkeypatch.setattr(export, "_find_ffmpeg", lambda: sys.executable)
    with pytest.raises(ValueError, match=r"(?s)FFmpeg refused: .*; take a GIF"):
        write_mp4(session)


def test_the_film_has_a_picture_per_point(session):
    try:
        ffmpeg = export._find_ffmpeg()
    except ValueError:
        pytest.skip("needs FFmpeg: pip install imageio-ffmpeg")
    film = write_mp4(session)
    read = [ffmpeg, "-v", "error", "-i", "-", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    seen = subprocess.run(read, input=film, capture_output=True, check=True).stdout
    frames = np.frombuffer(seen, np.uint8).reshape(8, 280, 280)  # the end
    for frame, point in zip(frames, session.points, strict=True):
        picture = 255 * session.input.adapter.decode(point.step.point)
        assert abs(frame[5::10, 5::10] - picture).mean() < 4
