// The front page: the start and the target that the reader chooses or draws, the tabs, and the theme.
//
// What the parts of the page share is the object live:
//   engine          see worker.js
//   start, target   images of 28 x 28 numbers from 0 to 1
//   names           of the classes
//   size()          the norm of the start, the unit of travel; 1 for a black image
//   show(text), speak(text), fail(error)   the line under the view; what a screen reader says; an error in both
(function () {
  const SIDE = 28, START = 3, TARGET = 8; // digits shown at first
  const INK = 1.5; // radius of the brush, in pixels
  const digits = readDigits(), readout = findOne(".readout"), status = findOne("[role=status]");
  const live = {
    engine: null, start: digits[START], target: digits[TARGET], names: digits.map((_, i) => String(i)),
    size: () => Math.hypot(...live.start) || 1,
    show: (text) => (readout.textContent = text),
    speak: (text) => (status.textContent = text),
    fail(error) {
      readout.textContent = status.textContent = `The live model has stopped: ${error.message}`;
    },
  };
  try {
    live.engine = startEngine(transformerModels["vit-digits"]);
  } catch (error) {
    live.fail(error);
    return;
  }
  live.engine.ready.catch(live.fail);

  function readDigits() { // ten images of 28 x 28 bytes
    const bytes = Uint8Array.from(atob(liveDigits), (letter) => letter.charCodeAt(0));
    return Array.from({ length: 10 }, (_, i) =>
      Float32Array.from(bytes.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE), (value) => value / 255));
  }

  // -- start and target
  // One button per digit; returns show(image), which draws the chosen image and says what the model reads.
  function createPicker(element, choose) {
    const title = element.getAttribute("aria-label");
    const buttons = digits.map((digit, name) => {
      const button = document.createElement("button"), small = document.createElement("canvas");
      button.type = "button";
      button.setAttribute("aria-label", `${title}: digit ${name}`);
      small.className = "digit";
      drawImage(small, digit);
      button.append(small);
      button.addEventListener("click", () => choose(digit));
      findOne(".digits", element).append(button);
      return button;
    });
    let asked = 0;
    return async (image) => {
      const mine = ++asked;
      drawImage(findOne(".digit", element), image);
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(digits[i] === image)));
      const outputs = await live.engine.ask("outputs", { image });
      if (mine === asked) findOne(".says", element).textContent = `model: ${formatPrediction(outputs)}`;
    };
  }
  function setStart(image) {
    live.start = image;
    showStart(image).catch(live.fail);
  }

  // Soft ink around a place, or with sign -1 none.
  function addInk(x, y, sign = 1) {
    setStart(live.start.map((value, i) => {
      const distance = Math.hypot((i % SIDE) + 0.5 - x, Math.floor(i / SIDE) + 0.5 - y);
      const dark = Math.min(1, Math.max(0, INK + 0.5 - distance));
      return sign > 0 ? Math.max(value, dark) : Math.min(value, 1 - dark);
    }));
  }
  function listenToPointer(canvas) {
    let last = null;
    function stroke(event) {
      const box = canvas.getBoundingClientRect();
      const to = [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
      const from = last ?? to, parts = Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])) || 1;
      for (let i = 1; i <= parts; i++) addInk(...from.map((value, axis) => value + ((to[axis] - value) * i) / parts));
      last = to;
    }
    canvas.addEventListener("pointerdown", (event) => {
      tabs.current.stop();
      canvas.setPointerCapture(event.pointerId);
      stroke(event);
    });
    canvas.addEventListener("pointermove", (event) => last && stroke(event));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, () => {
        if (last) tabs.current.run();
        last = null;
      });
  }
  function listenToKeys(canvas) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const signs = { " ": 1, Backspace: -1 };
    let brush = [SIDE / 2 + 0.5, SIDE / 2 + 0.5];
    canvas.addEventListener("keydown", (event) => {
      if (!(event.key in moves) && !(event.key in signs)) return;
      event.preventDefault();
      const move = moves[event.key] ?? [0, 0];
      brush = brush.map((value, axis) => Math.min(SIDE - 0.5, Math.max(0.5, value + move[axis])));
      if (event.key in signs) {
        tabs.current.stop();
        addInk(...brush, signs[event.key]);
      }
      live.speak(`brush at row ${Math.floor(brush[1])}, column ${Math.floor(brush[0])}`);
    });
  }
  function listenToDrawing(canvas) {
    listenToPointer(canvas);
    listenToKeys(canvas);
    findOne(".own").addEventListener("click", () => {
      tabs.current.stop();
      setStart(new Float32Array(SIDE * SIDE));
      canvas.focus();
      live.show("Draw a digit on the start image; the model answers as you draw.");
    });
  }

  // -- tabs, theme, copy buttons
  function createTabs(views) {
    const buttons = findAll("[role=tab]"), tabs = { current: views[0] };
    const choose = (index) => {
      tabs.current.stop();
      buttons.forEach((button, i) => {
        button.setAttribute("aria-selected", String(i === index));
        button.tabIndex = i === index ? 0 : -1;
        findOne(`#${button.getAttribute("aria-controls")}`).hidden = i !== index;
      });
      tabs.current = views[index];
      tabs.current.run();
    };
    buttons.forEach((button, i) => {
      button.addEventListener("click", () => choose(i));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = (i + step + buttons.length) % buttons.length;
        buttons[next].focus();
        choose(next);
      });
    });
    return tabs;
  }
  function listenToTheme() { // the site's other pages keep the choice under the same names
    const button = findOne("#theme"), root = document.documentElement, modes = ["auto", "light", "dark"];
    const name = () => button.setAttribute("aria-label", `Theme: ${root.dataset.mode}`);
    name();
    button.addEventListener("click", () => {
      setTheme(modes[(modes.indexOf(root.dataset.mode) + 1) % modes.length]);
      button.textContent = `Theme: ${root.dataset.mode}`;
      name();
      try {
        for (const key of ["mode", "theme"]) localStorage.setItem(key, root.dataset.mode);
      } catch { /* no storage: the choice holds for this page only */ }
    });
  }
  function listenToCopies() {
    for (const button of findAll(".copy"))
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.previousElementSibling.textContent);
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 1500);
      });
  }

  const tabs = createTabs([createWalkView(live), createRaceView(live), createPullView(live)]);
  const showStart = createPicker(findOne("#start"), (image) => {
    setStart(image);
    tabs.current.run();
  });
  const showTarget = createPicker(findOne("#target"), (image) => {
    live.target = image;
    showTarget(image).catch(live.fail);
    tabs.current.run();
  });
  setStart(live.start);
  showTarget(live.target).catch(live.fail);
  listenToDrawing(findOne(".draw"));
  listenToTheme();
  listenToCopies();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) tabs.current.run();
})();
