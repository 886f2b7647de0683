// The front page: what the reader chooses, and what is shown of it.
(function () {
  const SIDE = 28, START = 3, TARGET = 8; // digits shown at first
  const PLAY_SECONDS = 4; // of a walk that is played from its start to its end
  const find = (selector, inside = document) => inside.querySelector(selector);
  const findAll = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const digits = readDigits();
  const status = find("[role=status]"), readout = find(".readout");
  let start = digits[START], target = digits[TARGET];

  function readDigits() { // ten images of 28 x 28 bytes
    const bytes = Uint8Array.from(atob(liveDigits), (letter) => letter.charCodeAt(0));
    return Array.from({ length: 10 }, (_, i) =>
      Float32Array.from(bytes.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE), (value) => value / 255));
  }
  const argmax = (values) => values.indexOf(Math.max(...values));
  const describe = (outputs) => `${argmax(outputs)} (${formatProbability(Math.max(...outputs))})`;
  const formatDrift = (drift) => (drift === 0 ? "0" : drift < 0.1 ? drift.toExponential(0) : drift.toPrecision(2));
  function fail(error) {
    readout.textContent = status.textContent = `The live model has stopped: ${error.message}`;
  }

  let engine;
  try {
    engine = startEngine(transformerModels["vit-digits"]);
  } catch (error) {
    fail(error);
    return;
  }
  engine.ready.catch(fail);

  // -- a player shows several walks at one travel: the travel that has been played, or that the slider chooses
  // view: the tab's panel; begin(): returns the walks as [{question, dash, colour, ...}]; show(at, walks, ended)
  function createPlayer(view, name, begin, show) {
    const play = find(".play", view), slider = find(".at", view);
    let walks = [], at = 0, playing = false, before = 0, computed = 0, began = 0;
    const reached = () => (walks.length ? Math.min(...walks.map((walk) => (walk.reason ? Infinity : walk.travel))) : 0);
    const length = () => Math.max(1e-9, ...walks.map((walk) => walk.travel));
    const ended = () => walks.length > 0 && walks.every((walk) => walk.reason);

    function restart() {
      walks.forEach((walk) => walk.job.stop());
      [at, computed, began, status.textContent] = [0, 0, performance.now(), ""];
      walks = begin().map((plan) => {
        const walk = { ...plan, steps: [], travel: 0 };
        walk.job = engine.walk(plan.question, (steps) => {
          walk.steps.push(...steps);
          walk.travel = steps[steps.length - 1].travel;
        });
        walk.job.ended.then((reason) => {
          walk.reason = reason;
          if (ended()) computed = performance.now() - began;
        }, fail);
        return walk;
      });
    }
    function frame(now) {
      const seconds = Math.min(0.1, (now - before) / 1000);
      before = now;
      if (!playing) return;
      const pace = (ended() ? length() : Math.max(length(), view.expected ?? 9)) / PLAY_SECONDS;
      at = Math.min(at + seconds * pace, Math.min(reached(), length()));
      draw();
      if (ended() && at >= length()) {
        setPlaying(false);
        status.textContent = readout.textContent;
      } else requestAnimationFrame(frame);
    }
    function draw() {
      for (const walk of walks) walk.shown = walk.steps.findLast((step) => step.travel <= at * (1 + 1e-9)) ?? walk.steps[0];
      slider.value = Math.round((1000 * at) / length());
      slider.setAttribute("aria-valuetext", `travel ${at.toFixed(1)} of ${length().toFixed(1)}`);
      if (walks.every((walk) => walk.shown)) show(at, length(), walks, ended() && { seconds: computed / 1000 });
    }
    function setPlaying(value) {
      playing = value;
      play.textContent = playing ? "Pause" : at > 0 && at < length() ? "Go on" : at > 0 ? `${name} again` : name;
      if (!playing) return;
      before = performance.now();
      requestAnimationFrame(frame);
    }
    play.addEventListener("click", () => {
      if (!playing && (!walks.length || (ended() && at >= length()))) restart();
      setPlaying(!playing);
    });
    slider.addEventListener("input", () => {
      setPlaying(false);
      at = Math.min((slider.value / 1000) * length(), reached());
      draw();
      setPlaying(false);
    });
    return {
      run() {
        restart();
        setPlaying(true);
      },
      stop() {
        walks.forEach((walk) => walk.job.stop());
        walks = [];
        at = 0;
        setPlaying(false);
      },
    };
  }

  // Caption a picture by what the model says of it; in bold where that is not what it said of the start.
  function caption(view, index, image, outputs, held, more) {
    const figure = findAll("figure", view)[index], says = find(".says", figure);
    drawImage(find("canvas", figure), image);
    says.textContent = `model: ${describe(outputs)}\n${more}`;
    says.classList.toggle("changed", argmax(outputs) !== argmax(held));
  }

  // -- the walk to the target
  function createWalkTab() {
    const view = find("#view-walk"), tolerance = find(".tolerance", view);
    const showBars = createBars(find(".bars div", view), digitNames, ["--corrected", "--control"]);
    const showPlot = createPlot(find(".plot div", view), {
      xLabel: "share of the distance to the target that is covered", formatX: (value) => `${Math.round(100 * value)} %`,
    });
    const begin = () => [{
      question: { algorithm: "corrected", start, options: { target, tolerance: Number(tolerance.value), longestStep: 0.005 } },
    }];
    function show(at, length, [walk], done) {
      const { shown, steps, reason } = walk, held = steps[0].outputs;
      const until = steps.filter((step) => step.travel <= shown.travel);
      caption(view, 0, shown.line.point, shown.line.outputs, held, `drift ${formatDrift(shown.line.drift)}`);
      caption(view, 1, shown.point, shown.outputs, held, `drift ${formatDrift(shown.drift)}`);
      showBars(held, [shown.outputs, shown.line.outputs]);
      showPlot({
        from: 0, to: 1, tolerance: Number(tolerance.value), at: shown.share,
        label: `Drift over the share of the distance: the walk is at ${formatDrift(shown.drift)} nats, the straight line at ${formatDrift(shown.line.drift)}.`,
        series: [
          { colour: "--control", dash: "6 3", points: until.map((step) => [step.share, step.line.drift]) },
          { colour: "--corrected", points: until.map((step) => [step.share, step.drift]) },
        ],
      });
      const changed = steps.find((step) => argmax(step.line.outputs) !== argmax(held));
      const end = steps[steps.length - 1];
      readout.textContent = done && at >= length
        ? `The walk ends after ${steps.length - 1} steps: ${reason}. The image has come ${Math.round(100 * end.share)} % of the way to the ` +
          `target, the prediction is still ${argmax(end.outputs)}, and no log-probability has changed by more than ` +
          `${formatDrift(Math.max(...steps.map((step) => step.drift)))} nats. ` +
          (changed ? `On the straight line the prediction changes at ${Math.round(100 * changed.share)} %. ` : "") +
          `Computed in this page, at ${Math.round((steps.length - 1) / done.seconds)} steps per second.`
        : `step ${until.length - 1}, travel ${shown.travel.toFixed(1)} (the start's norm is ${Math.hypot(...start).toFixed(1)}), ` +
          `${Math.round(100 * shown.share)} % of the way to the target`;
    }
    const player = createPlayer(view, "Walk", begin, show);
    tolerance.addEventListener("change", player.run);
    return player;
  }

  // -- the race
  function createRaceTab() {
    const view = find("#view-race"), tolerance = find(".tolerance", view), eta = find(".eta", view);
    const colours = ["--corrected", "--simec", "--simexp", "--control"], dashes = [undefined, "8 3", "2 3", "6 3 2 3"];
    const showBars = createBars(find(".bars div", view), digitNames, colours);
    const showPlot = createPlot(find(".plot div", view), {
      xLabel: "travel, in units of the start's norm", formatX: (value) => value.toFixed(2),
    });
    let seed = 0;
    const begin = () => {
      const size = Math.hypot(...start) || 1, travel = size;
      view.expected = travel;
      const options = [
        { tolerance: Number(tolerance.value), longestStep: 0.02 }, { eta: Number(eta.value) }, { eta: Number(eta.value) },
        { length: 0.02 * size },
      ];
      return ["corrected", "simec", "simexp", "control"].map((algorithm, i) => ({
        question: { algorithm, start, options: { ...options[i], travel, seed } },
      }));
    };
    function show(at, length, walks, done) {
      const held = walks[0].steps[0].outputs, size = Math.hypot(...start) || 1;
      walks.forEach(({ shown }, i) => caption(view, i, shown.point, shown.outputs, held, `drift ${formatDrift(shown.drift)}`));
      showBars(held, walks.map(({ shown }) => shown.outputs));
      showPlot({
        from: 0, to: 1, tolerance: Number(tolerance.value), at: Math.min(1, at / size),
        label: `Drift over travel: ${["corrected", "SiMEC", "SiMExp", "random control"].map((name, i) => `${name} ${formatDrift(walks[i].shown.drift)}`).join(", ")} nats.`,
        series: walks.map(({ steps, shown }, i) => ({
          colour: colours[i], dash: dashes[i],
          points: steps.filter((step) => step.travel <= shown.travel).map((step) => [Math.min(1, step.travel / size), step.drift]),
        })).reverse(),
      });
      const left = walks.map(({ steps }) => steps.find((step) => argmax(step.outputs) !== argmax(held)));
      const say = (i, name) => (left[i] ? `${name} leaves the predicted class at travel ${(left[i].travel / size).toFixed(2)}` : `${name} keeps the prediction`);
      readout.textContent = done && at >= length
        ? `${say(0, "The corrected walk")} within ${formatDrift(Math.max(...walks[0].steps.map((step) => step.drift)))} nats; ` +
          `${say(1, "SiMEC")} and drifts to ${formatDrift(walks[1].steps.at(-1).drift)}; ${say(2, "SiMExp")}; ${say(3, "the random control")}. ` +
          `Steps: ${walks.map(({ steps }) => steps.length - 1).join(", ")}.`
        : `travel ${(at / size).toFixed(2)} of the start's norm. The corrected walk and the control go straight on; SiMEC and ` +
          "SiMExp draw a new direction at each step, which undoes much of their way.";
    }
    const player = createPlayer(view, "Race", begin, show);
    for (const control of [tolerance, eta]) control.addEventListener("change", player.run);
    find(".seed", view).addEventListener("click", () => {
      seed += 1;
      player.run();
    });
    return player;
  }

  // -- the pull along a direction
  function createPullTab() {
    const view = find("#view-pull"), slider = find(".at", view), choice = find(".direction", view);
    const LONGEST = 4, POINTS = 33; // of a pull, in pixels' units; points of a curve
    const shares = Array.from({ length: POINTS }, (_, i) => (2 * i) / (POINTS - 1) - 1);
    const lengths = shares.map((share) => LONGEST * share * Math.abs(share)); // closer together where a pull is short
    const showBars = createBars(find(".bars div", view), digitNames, ["--simexp", "--corrected"]);
    const showPlot = createPlot(find(".plot div", view), { xLabel: "length of the pull", formatX: (value) => value.toFixed(0) });
    let directions = [], held = null, turn = 0;

    async function run() {
      const mine = ++turn, here = start;
      const metric = await engine.ask("metric", { image: here, target, seed: 1 });
      const outputs = await engine.ask("outputs", { image: here });
      if (mine !== turn) return;
      held = outputs;
      directions = [
        ...metric.eigenvectors.map((vector, i) => [`eigenvector ${i + 1}: eigenvalue ${metric.eigenvalues[i].toPrecision(3)}`, vector]),
        ["kernel: towards the target", metric.towards], ["kernel: random noise", metric.noise],
      ].map(([name, vector]) => ({ name, vector, inKernel: name.startsWith("kernel") }));
      const chosen = Math.max(0, choice.selectedIndex);
      choice.replaceChildren(...directions.map(({ name }) => new Option(name)));
      choice.selectedIndex = Math.min(chosen, directions.length - 1);
      show();
      for (const direction of directions) {
        const curve = await engine.ask("along", { image: here, direction: direction.vector, lengths });
        if (mine !== turn) return;
        direction.curve = lengths.map((length, i) => [length, Math.max(...curve[i].map((value, j) => Math.abs(value - held[j])))]);
        showCurves();
      }
    }
    const length = () => (LONGEST * slider.value) / 100;
    function showCurves() {
      const chosen = directions[choice.selectedIndex];
      const others = directions.filter((each) => each.curve && each !== chosen);
      showPlot({
        from: -LONGEST, to: LONGEST, at: length(), label: `Drift over the length of a pull along ${chosen.name}.`,
        series: [
          ...others.map(({ curve, inKernel }) => ({ colour: "--edge", points: curve, dash: inKernel ? "3 3" : undefined })),
          ...(chosen.curve ? [{ colour: chosen.inKernel ? "--corrected" : "--simexp", points: chosen.curve }] : []),
        ],
      });
    }
    async function show() {
      const chosen = directions[choice.selectedIndex], mine = turn, far = length();
      if (!chosen) return;
      const pull = (direction) => engine.ask("along", { image: start, direction: direction.vector, lengths: [far] });
      const [[outputs], [noisy]] = await Promise.all([pull(chosen), pull(directions.at(-1))]);
      if (mine !== turn || far !== length()) return;
      const drift = (values) => formatDrift(Math.max(...values.map((value, j) => Math.abs(value - held[j]))));
      caption(view, 0, start.map((value, i) => value + far * chosen.vector[i]), outputs, held, `drift ${drift(outputs)}`);
      find("figcaption", view).style.setProperty("--colour", chosen.inKernel ? "var(--corrected)" : "var(--simexp)");
      drawChange(findAll("canvas", view)[1], chosen.vector.map((value) => value * (far || 1)));
      findAll(".says", view)[1].textContent = "red: more ink\nblue: less";
      slider.setAttribute("aria-valuetext", `length ${far.toFixed(2)}`);
      showBars(held, chosen.inKernel ? [null, outputs] : [outputs, null]);
      showCurves();
      readout.textContent = `A pull of ${far.toFixed(2)} (the start's norm is ${Math.hypot(...start).toFixed(1)}) changes a log-probability ` +
        `by ${drift(outputs)} nats; as much noise in the kernel, by ${drift(noisy)}. ` +
        "The model sees pixels beyond black and white as well; the picture cuts them off.";
    }
    slider.addEventListener("input", show);
    choice.addEventListener("change", show);
    return { run, stop: () => turn++ };
  }

  // -- start and target
  function createPicker(element, image, choose) {
    const canvas = find(".digit", element), says = find(".says", element);
    const buttons = digits.map((digit, name) => {
      const button = document.createElement("button"), small = document.createElement("canvas");
      button.type = "button";
      button.setAttribute("aria-label", `${element.getAttribute("aria-label")}: digit ${name}`);
      small.className = "digit";
      drawImage(small, digit);
      button.append(small);
      button.addEventListener("click", () => choose(digit));
      find(".digits", element).append(button);
      return button;
    });
    let asked = 0;
    return async (image) => {
      const mine = ++asked;
      drawImage(canvas, image);
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(digits[i] === image)));
      const outputs = await engine.ask("outputs", { image });
      if (mine === asked) says.textContent = `model: ${describe(outputs)}`;
    };
  }

  // Draw on the start image: soft ink around the pointer, or around a brush that the arrow keys move.
  function listenToDrawing(canvas) {
    const INK = 1.5; // radius, in pixels
    let last = null, brush = [14, 14];
    function ink(x, y, sign = 1) {
      start = start.map((value, i) => {
        const distance = Math.hypot((i % SIDE) + 0.5 - x, Math.floor(i / SIDE) + 0.5 - y);
        const dark = Math.min(1, Math.max(0, INK + 0.5 - distance));
        return sign > 0 ? Math.max(value, dark) : Math.min(value, 1 - dark);
      });
    }
    function stroke(event) {
      const box = canvas.getBoundingClientRect();
      const to = [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
      const from = last ?? to, parts = Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])) || 1;
      for (let i = 1; i <= parts; i++) ink(from[0] + ((to[0] - from[0]) * i) / parts, from[1] + ((to[1] - from[1]) * i) / parts);
      last = to;
      showStart(start);
    }
    canvas.addEventListener("pointerdown", (event) => {
      tabs.current.stop();
      canvas.setPointerCapture(event.pointerId);
      last = null;
      stroke(event);
    });
    canvas.addEventListener("pointermove", (event) => last && stroke(event));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, () => {
        if (!last) return;
        last = null;
        tabs.current.run();
      });
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const signs = { " ": 1, Backspace: -1 };
      if (!(event.key in moves) && !(event.key in signs)) return;
      event.preventDefault();
      const [dx, dy] = moves[event.key] ?? [0, 0];
      brush = [brush[0] + dx, brush[1] + dy].map((value) => Math.min(SIDE - 0.5, Math.max(0.5, value)));
      if (event.key in signs) {
        tabs.current.stop();
        ink(...brush, signs[event.key]);
        showStart(start);
      }
      status.textContent = `brush at row ${Math.floor(brush[1])}, column ${Math.floor(brush[0])}`;
    });
    find(".own").addEventListener("click", () => {
      tabs.current.stop();
      start = new Float32Array(SIDE * SIDE);
      showStart(start);
      canvas.focus();
      readout.textContent = "Draw a digit on the start image; the walk begins when you lift the pointer.";
    });
  }

  // -- tabs, theme, copy buttons
  function createTabs(players) {
    const buttons = findAll("[role=tab]");
    const tabs = { current: players[0] };
    const choose = (index) => {
      tabs.current.stop();
      buttons.forEach((button, i) => {
        button.setAttribute("aria-selected", String(i === index));
        button.tabIndex = i === index ? 0 : -1;
        find(`#${button.getAttribute("aria-controls")}`).hidden = i !== index;
      });
      tabs.current = players[index];
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
  function listenToTheme() {
    const button = find("#theme"), root = document.documentElement, modes = ["auto", "light", "dark"];
    const name = () => button.setAttribute("aria-label", `Theme: ${root.dataset.mode}`);
    name();
    button.addEventListener("click", () => {
      root.dataset.mode = modes[(modes.indexOf(root.dataset.mode) + 1) % 3];
      try {
        localStorage.setItem("mode", root.dataset.mode);
        localStorage.setItem("theme", root.dataset.mode);
      } catch { /* no storage: the choice holds for this page only */ }
      name();
      button.textContent = `Theme: ${root.dataset.mode}`;
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

  const digitNames = digits.map((_, i) => String(i));
  const tabs = createTabs([createWalkTab(), createRaceTab(), createPullTab()]);
  const showStart = createPicker(find("#start"), start, (image) => {
    start = image;
    showStart(start);
    tabs.current.run();
  });
  const showTarget = createPicker(find("#target"), target, (image) => {
    target = image;
    showTarget(target);
    tabs.current.run();
  });
  showStart(start);
  showTarget(target);
  listenToDrawing(find(".draw"));
  listenToTheme();
  listenToCopies();
  if (!still) tabs.current.run();
})();
