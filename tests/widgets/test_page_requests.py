"""What pages ask for is carried out in a thread: a stop is heard meanwhile, and leaves all as it was."""

import queue
import threading
from functools import partial

import numpy as np
import pytest
import torch

from helpers.adapters import load_adapter
from helpers.adapters.toy import paraboloid
from helpers.sessions import ImageInput, PlaneSession, Race, WalkSession
from helpers.weights import load_weights
from helpers.widgets import ParameterBrowser, PlaneWalker, page_requests
from helpers.widgets.page_requests import THREAD, PageRequests, Stop
from tests.adapters.families import make_model

LONG, TIMES = 100_000, 10  # operations of PyTorch, some tenths of a second; evaluations that take so long


class LongMap:
    """The paraboloid; while ``is_long``, an evaluation but the first few says that it has begun and takes long."""

    def __init__(self):
        self.is_long, self.first, self.has_begun, self.evaluations = False, 0, threading.Event(), 0

    def __call__(self, point):
        if self.is_long and self.first:
            self.first -= 1
        elif self.is_long and self.evaluations < TIMES:
            self.evaluations += 1
            self.has_begun.set()
            for _ in range(LONG):
                point.clone()
        return paraboloid(point)


@pytest.fixture
def f():
    return LongMap()


@pytest.fixture
def walker(f):
    walker = PlaneWalker({"long": f, "paraboloid": paraboloid})
    walker.step()
    f.is_long = True
    return walker


def ask(widget, do, **arguments):
    """Send a command to a widget as a page does; the kernel hands it on and does not wait."""
    tell(widget, method="custom", content={"do": do, **arguments})


def tell(widget, **data):
    widget.comm.handle_msg({"content": {"data": data}, "buffers": []})


def wait():
    """Wait until all is carried out that pages have asked for."""
    THREAD.submit(lambda: None).result(timeout=60)


def test_a_stop_ends_what_is_computed_and_what_waits_and_the_next_step_goes_on(walker, f):
    points = walker.path.points
    ask(walker, "step", view="page", id=1)
    ask(walker, "step", view="page", id=2)
    ask(walker, "select", view="page", id=3, index=0)
    assert f.has_begun.wait(60) and walker.busy
    for _ in range(2):
        ask(walker, "stop", view="page")
    wait()
    assert f.evaluations == 1 and walker.session.selected == 1, "what waited was not begun"
    assert walker.status == {"text": "stopped; all earlier results are kept", "isError": False, "isEnd": True}
    assert not walker.busy and walker.answered == {"view": "page", "id": 3}
    assert torch.equal(walker.path.points, points)
    f.is_long = False
    ask(walker, "stop")
    ask(walker, "step", view="page", id=4)
    wait()
    assert len(walker.path) == 2 and walker.status["text"] == "", "a stop concerns what was asked before it"


def test_a_page_can_stop_a_step_of_a_cell(walker, f):
    cell = threading.Thread(target=walker.step)
    cell.start()
    assert f.has_begun.wait(60)
    ask(walker, "stop")
    cell.join(60)
    assert walker.status["text"].startswith("stopped") and len(walker.path) == 1


def test_a_widget_that_is_closed_computes_no_longer(walker, f):
    ask(walker, "step", view="page", id=1)
    ask(walker, "step", view="page", id=2)
    assert f.has_begun.wait(60)
    walker.close()
    wait()
    assert f.evaluations == 1 and len(walker.path) == 1


def test_a_stop_leaves_no_level_curves_of_another_function(f):
    walker = PlaneWalker({"paraboloid": paraboloid, "long": f})
    f.is_long, f.first = True, 5
    ask(walker, "choose", view="page", id=1, function="long")
    assert f.has_begun.wait(60)
    ask(walker, "stop")
    wait()
    assert walker.choices["function"] == "long" and walker.contours == walker.level == []
    f.is_long = False
    ask(walker, "step", view="page", id=2)
    wait()
    assert walker.contours and walker.level


def test_of_the_changes_of_a_control_that_wait_only_the_last_is_computed(monkeypatch):
    browser, opened, begin = ParameterBrowser(load_weights("gpt2-reviews", fold=True)), [], threading.Event()
    read = browser.session.read
    monkeypatch.setattr(browser.session, "read", lambda place, *rest: opened.append(place) or read(place, *rest))
    THREAD.submit(begin.wait, 60)
    for layer in (1, 2, 3):
        tell(browser.layer, method="update", state={"value": layer}, buffer_paths=[])
    tell(browser.index, method="update", state={"value": 7}, buffer_paths=[])
    begin.set()
    wait()
    assert [(place.layer, place.index) for place in opened] == [(3, 0), (3, 7)]
    begin.clear()
    THREAD.submit(begin.wait, 60)
    tell(browser.layer, method="update", state={"value": 0}, buffer_paths=[])
    tell(browser.status, method="custom", content={"do": "stop"})
    tell(browser.layer, method="update", state={"value": 1}, buffer_paths=[])
    begin.set()
    wait()
    assert [place.layer for place in opened[2:]] == [1], "a stop ends what was asked before it, and no more"


def test_a_search_of_the_browser_is_stopped_and_what_it_shows_stays(monkeypatch, f):
    browser = ParameterBrowser(load_weights("gpt2-reviews", fold=True))
    text, f.is_long = browser.status.value, True
    with monkeypatch.context() as broken:
        broken.setattr(browser.session, "search", lambda *_: f(torch.ones(2)))
        tell(browser.word, method="update", state={"value": "funny"}, buffer_paths=[])
        assert f.has_begun.wait(60) and browser.status.busy
        tell(browser.status, method="custom", content={"do": "stop"})
        wait()
    assert browser.status.value == "stopped; all earlier results are kept" and not browser.status.busy
    assert browser.highest.layout.display is None and browser.search_results.options == ()
    browser.search()
    assert browser.status.value == text and len(browser.search_results.options) == 15


def test_an_error_without_a_text_is_told_by_its_kind():
    status = PageRequests().attempt(partial(next, iter(())))
    assert status == {"text": "StopIteration", "isError": True}


def test_of_what_takes_long_the_share_of_the_last_ones_work_is_told(monkeypatch):
    monkeypatch.setattr(page_requests, "PERIOD", 0.001)
    requests, told = PageRequests(), queue.Queue()
    requests.tell = told.put

    def work():
        """Do half of the operations, wait until that is told, and do the others."""
        for _ in range(10):
            torch.ones(1).clone()
        told.queue.clear()
        progress = told.get(timeout=60)
        for _ in range(10):
            torch.ones(1).clone()
        return progress["share"]

    for share in (None, 0.5, 0.5):
        seen = []
        assert not requests.attempt(lambda: seen.append(work()), "cannot work: ")["isError"]  # noqa: B023
        assert seen == [share]
    requests.attempt(lambda: seen.append(work()), "another kind: ")
    assert seen[1] is None
    told.queue.clear()
    with pytest.raises(queue.Empty):
        told.get(timeout=0.1)  # nothing is told of what has ended


class StopAt(Stop):
    """A stop that comes at an operation of PyTorch of a given number."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def check(self):
        self.number -= 1
        if self.number < 0:
            raise KeyboardInterrupt


def count_operations(action):
    counter = StopAt(10**9)
    with counter:
        action()
    return 10**9 - counter.number


def test_wherever_a_stop_comes_a_plane_walk_is_as_it_was_and_goes_on_alike():
    def create():
        session = PlaneSession({"paraboloid": paraboloid, "twice": lambda point: 2 * paraboloid(point)})
        session.step()
        return session

    for act in (lambda s: s.step(), lambda s: s.choose(function="twice")):
        count = count_operations(partial(act, create()))
        goal = create()
        goal.interrupt()  # a stop ends the walk in progress; the next step begins a new one
        act(goal)
        for number in {*range(0, count, 1 + count // 10), *range(count - 8, count)}:
            session = create()
            before = session.frames, session.choices, session.selected
            with pytest.raises(KeyboardInterrupt), StopAt(number):
                act(session)
            assert (session.frames, session.choices, session.selected) == before
            act(session)
            assert session.frames == goal.frames


def test_wherever_a_stop_comes_no_lane_of_a_race_has_moved(vit, digits):
    race = Race(ImageInput(vit.in_pixels(), digits.images[17]))
    frames = [race.frames[0], race.step(), race.step()]
    race = Race(race.input)
    race.step()
    for number in (0, 10, 1000, 4000, 8000):
        with pytest.raises(KeyboardInterrupt), StopAt(number):
            race.step()
        assert race.frames == frames[:2]
        assert {lane.selected for lane in race.lanes.values()} == set(race._places[-1].values())


def test_wherever_a_stop_comes_a_class_is_shown_at_all_points_or_at_none(tmp_path):
    adapter = load_adapter(make_model("ViTForImageClassification", tmp_path, num_labels=1000))
    start = ImageInput(adapter, np.random.default_rng(0).random((3, 24, 24)))
    for session in (WalkSession(start, algorithm="SiMExp"), Race(start)):
        session.step()
        before, number = (session.frames, session.describe()), 0
        while True:
            try:
                with StopAt(number):
                    session.watch("LABEL_999")
                break
            except KeyboardInterrupt:
                assert (session.frames, session.describe()) == before
                number += 40
        assert number > 40 and session.describe()["watched"] == ["LABEL_999"]


def test_a_stop_within_no_grad_leaves_gradients_as_they_were():
    requests = PageRequests()

    @torch.no_grad()
    def compute():
        requests.stop()
        torch.ones(1).clone()

    assert requests.attempt(compute)["text"].startswith("stopped")
    assert torch.is_grad_enabled()
