"""A JupyterLab on 127.0.0.1, a real Chromium in front of it, and a hand on its widgets.

What the widgets rely on is what every front end of ipywidgets has: the mime type of a widget's view, comms, and
anywidget's ``render({model, el})``. They call nothing of JupyterLab's own; its CSS variables have a fallback. So they
work where ipywidgets and anywidget do: JupyterLab, Notebook 7 and Voilà, all tested here, VS Code and Colab.
"""

import base64
import functools
import http.server
import io
import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from PIL import Image

from notebooks.cells import code_cells, find_needed, find_widgets
from notebooks.execute import NOTEBOOKS, PICTURES, shrink

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
NO_CHROMIUM = "no Chromium to drive: install the package chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PATIENCE = 120_000  # milliseconds after which something that is to be shown counts as missing, however busy the machine
REPEATS = 20 if os.environ.get("WIDGET_PICTURES") else 5  # of what is timed; five say whether it is slow
MARKER = "print('all cells ' + 'have run')"
RUN_ALL = """() => {
  window.ran = '';
  (async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await window.jupyterapp.restored;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
    const cells = panel.content.model.cells;
    const outputs = [...Array(cells.length).keys()].map((i) => cells.get(i).outputs?.toJSON() ?? []).flat();
    window.ran = JSON.stringify(outputs.filter((o) => o.output_type === 'error' || o.output_type === 'stream'));
  })().catch((error) => (window.ran = String(error)));
}"""
ASK = """async (code) => {
  const future = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code });
  let output = '';
  future.onIOPub = (message) => (output += message.content.text ?? message.content.evalue ?? '');
  await future.done;
  return output.trim();
}"""
SWEEP = """(code) => Promise.race([
  window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code }).done.then(() => 'swept'),
  new Promise((resolve) => setTimeout(resolve, PATIENCE, 'the kernel does not answer')),
])""".replace("PATIENCE", str(PATIENCE))
FORGET = "from ipywidgets import Widget; Widget.close_all(); get_ipython().run_line_magic('reset', '-f')"
PIXELS = """async (image) => {
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  return Array.from(pen.getImageData(0, 0, canvas.width, canvas.height).data);
}"""
MOUNT = """async ([name, script, style, state, answers]) => {
  const module = await import(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
  const listeners = {}, root = document.createElement('div'), sheet = document.createElement('style');
  const hear = (event, ...told) => listeners[event]?.forEach((listener) => listener(...told));
  const model = ((window.models ??= {})[name] ??= {
    sent: [],
    get: (trait) => state[trait],
    on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
    off: (event, listener) => listeners[event]?.delete(listener),
    send: async (command) => {
      model.sent.push(command);
      if (answers) model.tell(await window[`answer_${name}`](command));
    },
    tell: ({ changed, messages }) => {
      Object.assign(state, changed);
      Object.keys(changed).forEach((trait) => hear(`change:${trait}`));
      messages.forEach((message) => hear('msg:custom', message));
    },
  });
  [sheet.textContent, root.className] = [style, 'tm-view'];
  document.head.append(sheet);
  document.body.append(root);
  module.default.render({ model, el: root });
}"""
TELL = """([name, changed]) => new Promise((resolve) => {
  models[name].tell({ changed, messages: [] });
  setTimeout(resolve);
})"""
# Voilà's own pages ask for a style sheet of icons, whatever they show. Here they get an empty one from this machine.
VOILA_ICONS = re.compile(r"https://cdn\.jsdelivr\.net/npm/(@fortawesome/fontawesome-free|font-awesome)@")
KNOWN_COMPLAINTS = re.compile(  # about the front ends' own scripts and files
    r"Could not restore the debugger state"  # JupyterLab asks a kernel that is just being restarted
    r"|reading 'schema'"  # Notebook 7's shortcuts are told of settings that it has not loaded yet
    r"|'filebrowser:open-path' not registered"  # a command of JupyterLab's file browser, which Notebook 7 lacks
    r"|403 .*/static/notebook/\w+\.woff2"  # Notebook 7's icon font, refused now and then
    r"|403 .*/voila/api/shutdown/"  # Voilà's page asks to end its kernel, and is refused; see the Makefile
)


@dataclass(frozen=True)
class Lab:
    """A running server: its address, the token to enter, and the folder it serves."""

    address: str
    token: str
    folder: Path


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Start a JupyterLab, which serves Notebook 7 as well, with a folder and settings of its own."""
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    folder = tmp_path_factory.mktemp("lab")
    port = find_free_port()
    token = secrets.token_hex(8)
    own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {f"JUPYTERLAB_{name}_DIR": str(folder / name) for name in ("SETTINGS", "WORKSPACES")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1"}  # the models gain nothing from more threads
    no_news = folder / "SETTINGS" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    no_news.parent.mkdir(parents=True)
    no_news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    flags = [
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly", "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with serve([sys.executable, "-m", "jupyterlab", *flags], f"{address}/api?token={token}", folder, own):
        yield Lab(address, token, folder)


def find_free_port() -> int:
    """Find a port that no server listens at, below those that the system gives to kernels and other tests meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", port)):
                return port


@contextmanager
def serve(command, address, folder, environment):
    """Run a server in a block, which begins once an address of it answers."""
    log = folder / "server.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=written, stderr=written
        )
    try:
        while not answers(address):
            assert process.poll() is None, f"the server has stopped: {log.read_text()[-2000:]}"
            time.sleep(0.25)
        yield
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE / 1000)


def answers(address) -> bool:
    """Say whether a server answers at an address, be it with an error."""
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def address(site):
    """Where the site is served on this machine: in a folder of a plain file server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    folder = functools.partial(Quiet, directory=site.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{site.name}"
        server.shutdown()


@pytest.fixture(scope="session")
def chromium():
    """One Chromium for the session."""
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, request):
    """An empty page. After the test: nothing may have left 127.0.0.1, and no error may stand in the console.

    It is as high as ``PAGE_HEIGHT`` of the test's module says.
    """
    page = chromium.new_page(viewport={"width": 1200, "height": getattr(request.module, "PAGE_HEIGHT", 1000)})
    page.set_default_timeout(PATIENCE)
    page.route(VOILA_ICONS, lambda route: route.fulfill(body="", content_type="text/css"))
    foreign, errors = [], []
    for event in ("request", "websocket"):
        page.on(event, lambda asked: foreign.append(asked.url) if is_foreign(asked.url) else None)
    page.on("pageerror", lambda error: errors.append(error.stack))
    page.on(
        "console",
        lambda message: errors.append(f"{message.text} {message.location}") if message.type == "error" else None,
    )
    yield page
    page.close()
    assert not foreign
    assert not [error for error in errors if not KNOWN_COMPLAINTS.search(error)]


@pytest.fixture
def open_cells(lab, page):
    """Open a notebook of the given cells, run all of them, and return the page when they have run.

    The kernel is shared by all tests, which saves its start; it is swept clean after each.
    """

    def opened(cells, app="lab/tree", name="test.ipynb"):
        notebook = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(MARKER)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, lab.folder / name)
        page.goto(f"{lab.address}/{app}/{name}?token={lab.token}&reset")
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext")
        run_all(page)
        return page

    yield opened
    if page.evaluate("() => Boolean(window.jupyterapp?.shell?.currentWidget?.sessionContext?.session)"):
        assert page.evaluate(SWEEP, FORGET) == "swept"


@pytest.fixture
def open_notebook(open_cells):
    """Open a notebook of the given sources, run all of them, and return the page when they have run."""
    return lambda *sources, **options: open_cells([nbformat.v4.new_code_cell(source) for source in sources], **options)


@pytest.fixture
def open_shipped_notebook(open_cells):
    """Open a notebook of this project (named by its number), run what its widget needs, and return the page.

    The cells that the widget does not need stay in place, but as raw text: ``tests/notebooks`` runs them all, which
    takes minutes that a test of the widget need not wait for.
    """

    def opened(number):
        (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
        notebook = nbformat.read(path, as_version=4)
        cells, places = notebook.cells, [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        sources = [cell.source for cell in code_cells(notebook)]
        needed = {places[i] for i in find_needed(sources, find_widgets(notebook)[-1])}
        for index, cell in enumerate(cells):
            if cell.cell_type == "code" and index not in needed:
                cells[index] = nbformat.v4.new_raw_cell(cell.source)
        page = open_cells(cells)
        page.evaluate(
            """async (index) => {
              const notebook = window.jupyterapp.shell.currentWidget.content;
              notebook.activeCellIndex = index;
              await notebook.scrollToItem(index, 'start');
            }""",
            max(needed),
        )
        return page

    return opened


def run_all(page):
    """Run all cells of the open notebook and wait until they have run, none with an error."""
    page.evaluate(RUN_ALL)
    page.wait_for_function("() => window.ran", timeout=2 * PATIENCE)
    ran = page.evaluate("() => window.ran")
    assert "all cells have run" in ran, ran


@pytest.fixture
def run_again():
    """Run all cells of an open notebook once more: run_again(page)."""
    return run_all


def is_foreign(url: str) -> bool:
    """Say whether a request leaves this machine."""
    parts = urlsplit(url)
    is_own = parts.hostname == "127.0.0.1" or VOILA_ICONS.match(url)
    return parts.scheme not in ("data", "blob", "file") and not is_own


def read_number(text: str) -> float:
    """Read a number as the widgets write it, such as 0.0123 or −2.84×10⁻⁵."""
    mantissa, _, power = text.replace("−", "-").rpartition("10")
    if not power.startswith(("⁻", *"⁰¹²³⁴⁵⁶⁷⁸⁹")):
        return float(text.replace("−", "-"))
    return float(f"{mantissa.rstrip('×') or 1}e{power.translate(str.maketrans('⁻⁰¹²³⁴⁵⁶⁷⁸⁹', '-0123456789'))}")


class Hand:
    """A reader's hand and eye on one widget of a page.

    Args:
        page: that shows it.
        nth: which of the widgets, from 0.
        kind: CSS selector of such widgets.
        name: the kernel's variable that holds the widget.
    """

    def __init__(self, page, nth=0, kind=".tm-walker", name="walker"):
        self.page, self.widget, self.name = page, page.locator(kind).nth(nth), name
        self.widget.wait_for()

    def press(self, name):
        """Press the button of that name."""
        self.widget.get_by_role("button", name=name, exact=True).click()

    def part(self, name):
        """Find the patch or the token of that name."""
        return self.widget.locator(".tm-patch-grid, .tm-token-strip").get_by_label(name, exact=True)

    def chosen(self) -> list[str]:
        """Read the names of the chosen parts."""
        chosen = self.widget.locator("[aria-selected=true], .tm-token[aria-pressed=true]")
        return [part.get_attribute("aria-label") or part.inner_text() for part in chosen.all()]

    def choose(self, control, option):
        """Choose an option of a dropdown."""
        self.widget.get_by_label(control, exact=True).select_option(option)

    def status(self) -> str:
        """Read the line under the widget."""
        return self.widget.locator(".tm-status").inner_text().strip()

    def wait_for_point(self, index):
        """Wait until the status line says that a point is shown."""
        line = self.widget.locator(".tm-status").element_handle()
        seen = "([line, i]) => line.ariaBusy === 'false' && line.innerText.trim().startsWith(`point ${i} of `)"
        self.page.wait_for_function(seen, arg=[line, index])

    def wait_for_text(self, text):
        """Wait until a text is shown in the widget, in one place or in several."""
        self.widget.get_by_text(text).filter(visible=True).first.wait_for()

    def point(self) -> int:
        """Read which point is shown."""
        return int(re.match(r"point (\d+) of", self.status())[1])

    def last(self) -> int:
        """Read how many steps were made."""
        return int(re.match(r"point \d+ of (\d+)", self.status())[1])

    def handle(self):
        """Find the slider's handle."""
        return self.widget.get_by_role("slider", name="point shown")

    def drag_slider(self, share):
        """Drag the slider's handle to a share of its way, 0 to 1."""
        track = self.handle().bounding_box()
        middle, (first, last) = track["y"] + track["height"] / 2, (track["x"] + 9, track["x"] + track["width"] - 9)
        self.page.mouse.move((first + last) / 2, middle)
        self.page.mouse.down()
        self.page.mouse.move(first + share * (last - first), middle, steps=6)
        self.page.mouse.up()

    def pixels(self) -> list[int]:
        """Read the pixels of the widget's picture."""
        return self.widget.locator(".tm-patch-grid img").last.evaluate(PIXELS)

    def bars(self) -> list[float]:
        """Read the numbers beside the bars."""
        return [read_number(text) for text in self.widget.locator(".tm-value").all_inner_texts()]

    def ask(self, code) -> str:
        """Run code in the kernel, as the notebook's next cell would, and return what it prints."""
        return self.page.evaluate(ASK, code)

    def wait_for_steps(self, count):
        """Wait until at least so many steps are made."""
        line = self.widget.locator(".tm-status").element_handle()
        seen = r"([line, count]) => Number(line.innerText.match(/^point \d+ of (\d+)/)?.[1]) >= count"
        self.page.wait_for_function(seen, arg=[line, count])

    def play_until(self, steps):
        """Play until at least so many steps are made, then pause, and wait until all that was asked for is shown."""
        self.press("play")
        self.wait_for_steps(steps)
        self.press("pause")
        line = self.widget.locator(".tm-status").element_handle()
        self.page.wait_for_function("line => line.ariaBusy === 'false'", arg=line)

    def median_of_steps(self, count=REPEATS) -> float:
        """Measure the median time from a press of "step" to the new point on the screen, in seconds."""
        first = self.last()
        return self._median((lambda: self.press("step"), first + i) for i in range(1, count + 1))

    def median_of_slides(self, count=REPEATS) -> float:
        """Measure the median time from a move of the slider by one to the point on the screen, in seconds."""
        handle, last = self.handle(), self.last()
        return self._median((lambda: handle.press("ArrowLeft"), last - i) for i in range(1, count + 1))

    def median_of_pulls(self, slider, told, count=REPEATS) -> float:
        """Measure the median time from a move of a direction's slider to what it tells on the screen, in seconds."""
        waits = []
        for _ in range(count):
            before, began = told.inner_text(), time.perf_counter()
            slider.press("ArrowLeft")
            self.page.wait_for_function(
                "([told, before]) => told.innerText !== before", arg=[told.element_handle(), before]
            )
            waits.append(time.perf_counter() - began)
        return statistics.median(waits)

    def _median(self, acts) -> float:
        waits = []
        for act, index in acts:
            began = time.perf_counter()
            act()
            self.wait_for_point(index)
            waits.append(time.perf_counter() - began)
        return statistics.median(waits)


@pytest.fixture
def hand():
    """Put a hand on a widget: hand(page), or hand(page, 1) on the second one."""
    return Hand


class Shown(Hand):
    """A hand on a widget of this process, which is on a page without a front end and a kernel."""

    def __init__(self, page, nth, widget):
        self.model = widget.model_id
        super().__init__(page, nth, kind=".tm-view")

    def sent(self) -> list[str]:
        """Return the names of all commands that the page has sent."""
        return self.page.evaluate("(name) => models[name].sent.map((command) => command.do)", self.model)

    def tell(self, **change):
        """Change traits of the page's model, together."""
        self.page.evaluate(TELL, [self.model, change])

    def receive(self, **message):
        """Send the page a message, as the widget does."""
        self.page.evaluate(
            "([name, message]) => models[name].tell({ changed: {}, messages: [message] })", [self.model, message]
        )

    def answer(self, **change):
        """Answer all that was asked, where the widget itself does not."""
        view, ids = self.page.evaluate(
            "(name) => [models[name].sent.at(-1).view, models[name].sent.map(({ id }) => id ?? 0)]", self.model
        )
        self.tell(busy=False, answered={"view": view, "id": max(ids)}, **change)


@pytest.fixture
def show(page, monkeypatch):
    """Put a widget of this process on a page, without a front end and a kernel: show(widget) returns a hand on it.

    The widget answers the page, unless ``answers`` is false: then the test does. Shown again, it has two views.
    """
    page.set_content("<!doctype html><html><body></body></html>")
    shown = []

    def mount(widget, answers=True):
        messages = []
        read = lambda: {k: v for k, v in widget.get_state().items() if k in widget.traits() and k[0] != "_"}  # noqa: E731

        def answer(command):
            before = read()
            messages.clear()
            widget._handle_custom_msg(command, [])
            return {"changed": {k: v for k, v in read().items() if v != before[k]}, "messages": list(messages)}

        if widget not in shown:
            monkeypatch.setattr(widget, "send", messages.append)
            page.expose_function(f"answer_{widget.model_id}", answer)
        shown.append(widget)
        page.evaluate(MOUNT, [widget.model_id, widget._esm, widget._css, read(), answers])
        return Shown(page, len(shown) - 1, widget)

    return mount


@pytest.fixture
def report(record_property):
    """Report a measured time at the end of the run; nothing is asserted on a clock."""
    return lambda what, seconds, wanted: record_property(
        "median", f"{what}: median {1000 * seconds:.0f} ms (wanted: {1000 * wanted:.0f} ms)"
    )


@pytest.fixture
def take_picture():
    """Write a picture of a widget for the README, if WIDGET_PICTURES is set: take_picture(hand, name)."""

    def take(hand, name):
        if os.environ.get("WIDGET_PICTURES"):
            hand.page.set_viewport_size({"width": 1200, "height": 1600})  # the whole widget is in sight
            picture = base64.b64encode(hand.widget.screenshot()).decode()
            (PICTURES / f"{name}.png").write_bytes(base64.b64decode(shrink(picture)))

    return take


@pytest.fixture
def take_film():
    """Write the walk on the front page as a moving picture for the README, if WIDGET_PICTURES is set."""

    def take(page):
        if os.environ.get("WIDGET_PICTURES"):
            page.set_viewport_size({"width": 880, "height": 900})  # the panel is as wide as a page on GitHub
            page.add_style_tag(content=ONLY_THE_WALK)
            write_film([film_frame(page, at) for at in range(0, 1001, 25)], PICTURES / "live.gif")

    return take


ONLY_THE_WALK = """
nav, .tabs, .digits, .own, .controls, .readout, .bars > p { display: none !important; }
.end > .digit { width: 150px; }
#start { margin-bottom: 22px; }"""


def film_frame(page, at) -> Image.Image:
    """Take a picture of the front page's panel with the slider at a place, from 0 to 1000."""
    page.locator("#view-walk .at").evaluate(
        "(slider, at) => { slider.value = at; slider.dispatchEvent(new Event('input', { bubbles: true })); }", at
    )
    page.evaluate("() => new Promise(requestAnimationFrame)")
    return Image.open(io.BytesIO(page.locator("#live").screenshot())).convert("RGB")


def write_film(frames, path):
    """Write frames as a GIF of one palette that is shown three times and then rests on its last frame."""
    palette = frames[len(frames) // 2].quantize(128, Image.Quantize.MAXCOVERAGE)
    first, *others = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    times = [1000, *[100] * (len(others) - 1), 3000]  # milliseconds
    first.save(path, save_all=True, append_images=others, duration=times, loop=2, optimize=True)
