"""The engine of the site's front page, in a real Chromium: its model and its walks, judged by PyTorch in float64."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import PullbackMetric
from helpers.adapters import ViTAdapter
from helpers.geometry import jacobian

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ["product", "model", "walk"]
MODELS = ["vit-digits", "vit-mnist", "vit-cifar10"]
PREPARE = """(name) => {
  window.model = createModel(...readModel(transformerModels[name]), createProduct);
  window.walks = createWalks(model);
  window.follow = (walk) => {
    const steps = [];
    for (;;) {
      const { value, done } = walk.next();
      if (done) return { reason: value, steps };
      steps.push({ ...value, point: [...value.point], outputs: [...value.outputs] });
    }
  };
}"""
DIFFERENTIATE = """(image) => {
  const one = (_, i) => Number(i % (model.classes + 1) === 0);
  const rows = model.pullBack(image, Float64Array.from({ length: model.classes ** 2 }, one));
  return { f: [...model.outputs(image)], J: [...rows] };
}"""
WALK = "([name, start, options]) => follow(walks[name](Float64Array.from(start), options))"


@pytest.fixture(scope="module")
def live(load_docs):
    return load_docs("live")


@pytest.fixture
def engine(page, live):
    """An empty page with the engine and one bundled model: engine(name)."""

    def load(name="vit-digits"):
        for script in [*((ROOT / "docs/live" / f"{file}.js").read_text() for file in ENGINE), live.model_script(name)]:
            page.add_script_tag(content=script)
        page.evaluate(PREPARE, name)
        return page

    return load


@pytest.fixture(scope="module")
def exact():
    """A bundled model in float64 as a function of an image's numbers: exact(name), its adapter in pixels."""
    return lambda name="vit-digits": ViTAdapter.load(name, dtype=torch.float64).in_pixels()


def encode(adapter, image):
    """Turn an image's numbers into a point of the adapter."""
    array = np.asarray(image, dtype=np.float64).reshape(adapter.channels, *adapter.image_size)
    return adapter.encode(array if adapter.channels > 1 else array[0])


def to_image_rows(adapter, rows):
    """Turn rows of the Jacobian, by patches, into rows by pixels."""
    return np.asarray(adapter.decode_move(rows)).reshape(len(rows), -1)


@pytest.mark.parametrize("name", MODELS)
def test_model_and_jacobian_equal_pytorch(name, engine, exact):
    page, adapter = engine(name), exact(name)
    size = adapter.channels * adapter.image_size[0] * adapter.image_size[1]
    random = torch.rand(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for image in (random, torch.ones(size, dtype=torch.float64)):
        point = encode(adapter, image)
        outputs, rows = jacobian(adapter.output_map(point), point)
        got = page.evaluate(DIFFERENTIATE, image.tolist())
        np.testing.assert_allclose(got["f"], outputs, atol=1e-10, rtol=0)
        wanted = to_image_rows(adapter, rows)
        np.testing.assert_allclose(np.reshape(got["J"], wanted.shape), wanted, atol=1e-10, rtol=0)


def test_the_metric_is_the_packages_own(engine, exact, digits):
    page, adapter, image = engine(), exact(), digits.images[17].astype(np.float64)
    point = encode(adapter, image)
    metric = PullbackMetric.at(adapter.output_map(point), point)
    heading = torch.randn(point.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    got = page.evaluate(
        """([image, heading]) => {
          const metric = walks.metric(Float64Array.from(image));
          return { values: metric.eigenvalues, first: [...metric.eigenvector(0)],
            null: [...metric.project(Float64Array.from(heading))] };
        }""",
        [image.ravel().tolist(), to_image_rows(adapter, heading[None])[0].tolist()],
    )
    np.testing.assert_allclose(got["values"], metric.eigenvalues[: metric.rank], rtol=1e-9)
    first = to_image_rows(adapter, metric.eigenvectors[:1])[0]
    assert abs(np.dot(got["first"], first)) == pytest.approx(1)
    null = to_image_rows(adapter, metric.project_to_kernel(heading)[None])[0]
    np.testing.assert_allclose(got["null"], null, atol=1e-9)


def test_a_corrected_walk_towards_an_8_holds_its_tolerance(engine, exact, digits):
    """PyTorch judges points of the walk: the images are images, and no log-probability has changed by more."""
    start, target = (digits.images[i].ravel().astype(np.float64) for i in (17, 14))
    walk = engine().evaluate(WALK, ["corrected", start.tolist(), {"target": target.tolist(), "longestStep": 0.03}])
    assert walk["reason"] == "no small step leads nearer within the class"
    adapter, points = exact(), np.array([step["point"] for step in walk["steps"]])
    f = adapter.output_map(encode(adapter, start))
    held = f(encode(adapter, start))
    for step in walk["steps"][:: len(walk["steps"]) // 5] + walk["steps"][-1:]:
        drift = float((f(encode(adapter, step["point"])) - held).abs().max())
        assert drift == pytest.approx(step["drift"], abs=1e-10)
    assert max(step["drift"] for step in walk["steps"]) <= 1e-4
    assert points.min() >= 0 and points.max() <= 1
    assert np.linalg.norm(points[-1] - target) < 0.25 * np.linalg.norm(start - target)
    assert int(held.argmax()) == 3 and int(f(encode(adapter, target)).argmax()) == 8


def test_the_published_walks_make_the_printed_steps(engine, exact, digits):
    """The first step of both has the printed length and direction; both drift, and the corrected walk does not."""
    start = np.full(784, 0.5)  # no bound is near, so that the box changes nothing
    page, adapter = engine(), exact()
    point = encode(adapter, start)
    metric = PullbackMetric.at(adapter.output_map(point), point)
    for name in ("simec", "simexp"):
        walk = page.evaluate(WALK, [name, start.tolist(), {"eta": 0.5, "steps": 2}])
        move = np.subtract(walk["steps"][1]["point"], start)
        assert np.linalg.norm(move) == pytest.approx(0.5 / metric.condition**0.5, rel=1e-6)
        first_order = np.linalg.norm(to_image_rows(adapter, metric.factor.reshape(-1, *point.shape)) @ move)
        assert (first_order < 1e-9) == (name == "simec")
        assert walk["steps"][-1]["drift"] > 1e-6


@pytest.mark.parametrize("tolerance", [1e-2, 1e-8])
@pytest.mark.parametrize("kind", ["black", "white", "grey", "one pixel", "nearly black"])
def test_odd_images_are_walked_like_others(kind, tolerance, engine):
    start = np.full(784, {"white": 1.0, "grey": 0.5, "nearly black": 1e-12}.get(kind, 0.0))
    start[406] = 1.0 if kind == "one pixel" else start[406]
    walk = engine().evaluate(WALK, ["corrected", start.tolist(), {"travel": 0.5, "tolerance": tolerance}])
    assert walk["reason"] == "travel reached"
    assert sum(step["size"] for step in walk["steps"]) == pytest.approx(0.5, rel=1e-5)
    assert max(step["drift"] for step in walk["steps"]) <= tolerance


def test_walks_that_cannot_be_made_say_why(engine, digits):
    page, start = engine(), digits.images[17].ravel().tolist()
    same = page.evaluate(WALK, ["corrected", start, {"target": start}])
    assert same["reason"] == "target reached" and len(same["steps"]) == 1
    with pytest.raises(Exception, match="tolerance is 0; it must be a positive number"):
        page.evaluate(WALK, ["corrected", start, {"tolerance": 0}])
    for bad in (float("nan"), 1.5):
        with pytest.raises(Exception, match="An image has a value outside 0 to 1"):
            page.evaluate(WALK, ["corrected", [bad, *start[1:]], {}])
    with pytest.raises(Exception, match="image has 3 numbers; the model takes 784"):
        page.evaluate("() => model.outputs([1, 2, 3])")


@pytest.mark.parametrize("change", [{"hidden_act": "relu"}, {"model_type": "deit"}, {"num_attention_heads": 16}])
def test_another_kind_of_model_is_refused(change, engine):
    page = engine()
    with pytest.raises(Exception, match=f"{next(iter(change))}|multiples of 4"):
        page.evaluate(
            """(change) => {
              const [config, ...rest] = readModel(transformerModels['vit-digits']);
              createModel({ ...config, ...change }, ...rest, createProduct);
            }""",
            change,
        )
