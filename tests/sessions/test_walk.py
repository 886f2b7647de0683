"""A walk by hand from an image and from a sentence, without a widget."""

import json

import numpy as np
import pytest
import torch

from helpers import ExplorationPath
from helpers.adapters import load_adapter
from helpers.geometry import Box
from helpers.sessions import ImageInput, SentenceInput, WalkSession
from tests.adapters.families import make_model

TEXT = "The story is slow, but the two leads are a delight."


@pytest.fixture(params=["embeddings", "pixels"])
def session(request, vit, digits):
    adapter = vit if request.param == "embeddings" else vit.in_pixels()
    return WalkSession(ImageInput(adapter, digits.images[17], {"an 8": digits.images[14]}))


@pytest.fixture
def sentence(bert):
    return WalkSession(SentenceInput(bert, TEXT))


def step(session, times=1):
    for _ in range(times):
        session.step()


def moved_parts(path):
    return (path.points[-1] - path.points[0]).abs().sum(1).nonzero().flatten().tolist()


def test_frames_say_what_the_path_holds(session):
    step(session, 4)
    path = session.path
    assert path.algorithm == "corrected"
    assert path.drift.max() <= 1e-4
    travel = [0.0, *path.step_sizes.cumsum(0).tolist()]
    assert [frame["travel"] for frame in session.frames] == pytest.approx(travel, rel=1e-5)
    assert [frame["drift"] for frame in session.frames] == pytest.approx(path.drift.tolist(), rel=1e-5)
    outputs = [value for frame in session.frames for value in frame["outputs"]]
    assert outputs == pytest.approx(path.outputs.flatten().tolist(), rel=1e-5)
    assert max(session.frames[-1]["importance"]) == 1
    assert json.loads(json.dumps(session.frames)) == session.frames
    assert max(len(json.dumps(frame)) for frame in session.frames) < 5000
    assert json.dumps(session.describe())


def test_stored_points_are_shown_without_computing(session):
    step(session, 3)
    cost, frames = session.path.cost, session.frames
    session.input = None
    assert session.select(0) is frames[0]
    assert session.step() is frames[1]
    assert session.back() is frames[0]
    assert (session.selected, session.path.cost, session.frames) == (0, cost, frames)
    with pytest.raises(ValueError, match="index=4: must be between 0 and 3"):
        session.select(4)


def test_simexp_drifts_further_than_simec_and_simec_further_than_the_corrected_walk(session):
    drifts = {}
    for algorithm in ("corrected", "SiMEC", "SiMExp", "random"):
        session.restart()
        session.choose(algorithm=algorithm)
        step(session, 6)
        drifts[algorithm] = float(session.path.drift[-1])
        assert session.path.algorithm == algorithm
    assert drifts["corrected"] <= 1e-4 < drifts["SiMEC"] < min(drifts["SiMExp"], drifts["random"])


def test_only_chosen_parts_move_and_all_of_them_if_none_is_chosen(session):
    session.choose(parts=[24, 16, 17])
    step(session, 2)
    assert moved_parts(session.path) == [16, 17, 24]
    session.restart()
    session.choose(parts=[])
    step(session)
    assert len(moved_parts(session.path)) == len(session.input.point)


def test_what_was_walked_stays_until_a_step_with_other_choices(session):
    step(session, 4)
    session.select(2)
    session.choose(algorithm="SiMExp")
    assert len(session.path) == 4
    session.choose(algorithm="corrected")
    assert session.step() is session.frames[3]
    session.select(2)
    session.choose(algorithm="SiMExp")
    step(session)
    assert (len(session.path), session.path.algorithm) == (3, "corrected + SiMExp")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"algorithm": "simec"}, "algorithm='simec': wanted one of corrected"),
        ({"step_length": 3}, "step_length=3: wanted one of short"),
        ({"parts": [3, 99]}, r"parts=\[3, 99\]: \[99\] may not move"),
        ({"tolerance": 0}, "tolerance=0: must be a positive number"),
        ({"target": "a 7"}, "target='a 7': wanted one of an 8"),
    ],
)
def test_a_choice_that_is_not_to_be_had_leaves_all_as_it_was(session, choices, message):
    step(session, 2)
    before = session.choices, session.path.points
    with pytest.raises(ValueError, match=message):
        session.choose(**choices)
    assert session.choices == before[0]
    assert torch.equal(session.path.points, before[1])


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_leaves_all_as_it_was_and_the_next_step_goes_on(session, monkeypatch, error):
    def fail(*_):
        raise error

    step(session, 3)
    session.select(1)
    session.choose(algorithm="SiMEC")
    points, frames = session.path.points, session.frames
    with monkeypatch.context() as broken:
        broken.setattr(session.input.adapter.model.vit.layernorm, "forward", fail)
        for _ in range(2):
            with pytest.raises(error):
                session.step()
    assert torch.equal(session.path.points, points)
    assert (session.selected, session.frames) == (1, frames)
    step(session)
    assert (len(session.path), session.selected) == (2, 2)


def test_a_walk_that_stops_says_why_and_counts_its_passes(session, monkeypatch):
    monkeypatch.setattr(session.input.adapter, "bounds", lambda point: Box(point, point))  # no direction stays inside
    passes = [session.path.forward_passes]
    for _ in range(2):
        step(session)
        assert session.stopped_because == session.path.stopped_because == "no null direction was found inside the box"
        passes.append(session.path.forward_passes)
    assert passes == sorted(set(passes))
    monkeypatch.undo()
    step(session)
    assert (len(session.path), session.path.stopped_because) == (1, "no further step was made")


def test_a_walk_from_a_corner_of_the_box_stays_inside(vit):
    pixels = vit.in_pixels()
    session = WalkSession(ImageInput(pixels, np.zeros((28, 28))), parts=[0])
    step(session, 10)
    assert session.path.displacement > 0
    assert pixels.bounds(session.path.points[0]).contains(session.path.points)


def test_other_step_lengths_in_a_corrected_walk_keep_its_tolerance(session):
    for length in ("short", "long", "very long", "medium") * 2:
        session.choose(step_length=length)
        step(session)
    assert session.path.algorithm == "corrected"
    assert session.path.drift.max() <= 1e-4


def test_a_chosen_tolerance_is_held_and_used(session):
    session.choose(tolerance=1e-2)
    step(session, 8)
    assert 1e-4 < session.path.drift.max() <= 1e-2
    assert session.path.settings.tolerance == 1e-2


def test_a_walk_towards_another_image_comes_nearer_and_holds_its_outputs(session):
    session.choose(target="an 8", step_length="long")
    step(session, 8)
    goal = session.input.adapter.encode(session.input.targets["an 8"])
    first, last = ((session.path.points[i] - goal).norm() for i in (0, -1))
    assert last < 0.8 * first
    assert session.path.drift.max() <= 1e-4


def test_passes_add_up_over_algorithms(session):
    session.choose(algorithm="SiMEC")
    step(session, 2)
    two = session.path.cost
    session.choose(algorithm="SiMExp")
    step(session, 2)
    four = session.path.cost
    assert four > two
    session.select(2)
    session.choose(algorithm="SiMEC")
    step(session)
    assert two < session.path.cost < four


def test_a_restart_draws_the_same_directions_again(session):
    session.choose(algorithm="SiMExp")
    step(session, 2)
    first = session.path.points
    session.restart()
    assert len(session.path) == 0
    step(session, 2)
    assert torch.equal(session.path.points, first)


def test_the_path_can_be_saved(session, tmp_path):
    session.choose(parts=[3, 4])
    step(session, 2)
    session.path.save(tmp_path / "walk.safetensors")
    assert torch.equal(ExplorationPath.load(tmp_path / "walk.safetensors").points, session.path.points)
    with pytest.raises(ValueError, match="makes points and no curve"):
        session.path.at(0.1)


def test_a_sentence_is_walked_and_its_tokens_are_shown(sentence, bert):
    layout, first = sentence.describe(), sentence.frames[0]
    assert first["tokens"] == layout["tokens"] == bert.tokens(TEXT)
    assert first["changed"] == []
    assert layout["movable"] == list(range(1, len(layout["tokens"]) - 1))
    assert (max(first["importance"]), first["importance"][0]) == (1, 0)
    with pytest.raises(ValueError, match=r"\[0\] may not move"):
        sentence.choose(parts=[0])
    sentence.choose(parts=[2, 4])
    step(sentence, 2)
    assert moved_parts(sentence.path) == [2, 4]
    assert sentence.path.drift.max() <= 1e-4


def test_a_changed_token_is_marked(sentence, bert):
    place = sentence.input.tokens.index("story")
    point = sentence.input.find_target("film", sentence.input.point, [place])
    assert torch.equal(point[place], bert.vocabulary_at(place)[bert.tokenizer.convert_tokens_to_ids("film")])
    described = sentence.input.describe(point)
    assert (described["tokens"][place], described["changed"]) == ("film", [place])
    with pytest.raises(ValueError, match="target='delightt': is not among the model's 7,299 words; some are 'delight"):
        sentence.choose(target="delightt")


def test_a_masked_word_model_is_walked_with_the_words_of_its_start(masked_bert):
    session = WalkSession(SentenceInput(masked_bert, "The nurse said that [MASK] was late."))
    layout = session.describe()
    place = layout["tokens"].index("[MASK]")
    assert len(layout["names"]) == 11 and place not in layout["movable"]
    step(session, 2)
    assert session.path.outputs.shape == (3, 11)
    assert session.path.drift.max() <= 1e-4
    assert session.frames[-1]["importance"][place] == 0


def test_of_many_classes_others_can_be_watched(tmp_path):
    adapter = load_adapter(make_model("ViTForImageClassification", tmp_path, num_labels=1000))
    start = ImageInput(adapter, np.random.default_rng(0).random((3, 24, 24)))
    session = WalkSession(start, algorithm="SiMExp")
    assert session.describe()["names"][-1] == "the rest"
    step(session, 2)
    other = next(i for i in range(1000) if i not in start.f.target)
    session.watch(adapter.class_names[other])
    step(session)
    outputs = [float(adapter.log_probabilities(point)[other]) for point in session.path.points]
    assert [frame["watched"][0] for frame in session.frames] == pytest.approx(outputs, rel=1e-4)
    assert session.describe()["watched"] == [adapter.class_names[other]]
    with pytest.raises(ValueError, match="is shown already"):
        session.watch(adapter.class_names[other])
    with pytest.raises(ValueError, match=r"is not among the model's 1,000 classes; some are 'LABEL_1"):
        session.watch("LABEL_1x")


@pytest.mark.parametrize(("options", "kind"), [({"num_labels": 1}, "value"), ({"num_labels": 3}, "probability")])
def test_what_the_outputs_are_is_told(tmp_path, options, kind):
    adapter = load_adapter(make_model("BertForSequenceClassification", tmp_path, **options))
    session = WalkSession(SentenceInput(adapter, "a warm and funny film"), algorithm="SiMExp")
    layout = session.describe()
    assert (layout["quantity"], layout["is_logarithmic"]) == (kind, kind == "probability")
    frame = session.step()
    changes = (session.path.outputs[1] - session.path.outputs[0]).abs()
    assert frame["drift"] == pytest.approx(float(changes.max()), rel=1e-4)
    f = session.input.f
    gradient = torch.func.grad(lambda chosen: f(chosen)[0])(f.start).norm(dim=1)
    if kind == "value":
        importance = [session.frames[0]["importance"][part] for part in f.parts]
        assert importance == pytest.approx((gradient / gradient.max()).tolist(), abs=1e-3)


def test_an_adapter_of_another_kind_is_named(vit, bert):
    with pytest.raises(ValueError, match="wanted ImageAdapter"):
        ImageInput(bert, "a film")
    with pytest.raises(ValueError, match="is ViTAdapter, wanted TextAdapter"):
        SentenceInput(vit, "a film")
