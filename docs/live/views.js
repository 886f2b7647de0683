// The three views of the live model: the walk to the target, the race, and the pull along a direction. Each function
// takes what the parts of the page share (see page.js), and returns {run, stop}.

// Caption a picture by what the model says of it; in bold where that is not what it said of the start.
function captionPicture(view, index, { point, outputs, drift }, held) {
  const figure = findAll("figure", view)[index], says = findOne(".says", figure);
  drawImage(findOne("canvas", figure), point);
  says.textContent = `model: ${formatPrediction(outputs)}\ndrift ${writeNumber(drift, 2)}`;
  says.classList.toggle("changed", argmax(outputs) !== argmax(held));
}

// The widgets' bars of log-probabilities, with a thin bar for each of several walks; the numbers are the first one's.
function showBars(live, view, start, walks) {
  const values = walks[0].values, label = "log-probability of each class";
  tmWidgets.drawOutputBars(findOne(".bars div", view), { names: live.names, values, start, walks, label, isLogarithmic: true });
}

// The widgets' plot of drift; all points of its lines are shown.
function showDrift(view, state) {
  const lines = state.lines.map((line) => ({ ...line, shown: line.points.length }));
  const lowest = Math.min(-6, Math.floor(Math.log10(state.tolerance ?? 1)) - 2);
  tmWidgets.drawDriftPlot(findOne(".plot div", view), { unit: "nats", lowest, ...state, lines });
}

function createWalkView(live) {
  const view = findOne("#view-walk"), tolerance = findOne(".tolerance", view);
  const percent = (share) => `${Math.round(100 * share)} %`;
  const begin = () => {
    const options = { target: live.target, tolerance: Number(tolerance.value), longestStep: 0.005 };
    return [{ algorithm: "corrected", start: live.start, options }];
  };
  function show(at, length, [{ shown, steps, reason }], done) {
    const held = steps[0].outputs, until = steps.filter((step) => step.travel <= shown.travel);
    captionPicture(view, 0, shown.line, held);
    captionPicture(view, 1, shown, held);
    showBars(live, view, held, [
      { name: "corrected", values: shown.outputs }, { name: "random", values: shown.line.outputs },
    ]);
    showDrift(view, {
      to: 1, at: shown.share, tolerance: Number(tolerance.value), format: percent,
      xLabel: "share of the distance to the target that is covered",
      label: `Drift over the share of the distance: the walk is at ${writeNumber(shown.drift, 2)} nats, ` +
        `the straight line at ${writeNumber(shown.line.drift, 2)}.`,
      lines: [
        { name: "straight", colour: "var(--tm-algorithm-random)", points: until.map((step) => [step.share, step.line.drift]) },
        { name: "corrected", points: until.map((step) => [step.share, step.drift]) },
      ],
    });
    return done ? describeEnd(steps, reason, done.seconds) :
      `step ${until.length - 1}, travel ${shown.travel.toFixed(1)} (the start's norm is ${live.size().toFixed(1)}), ` +
      `${percent(shown.share)} of the way to the target`;
  }
  function describeEnd(steps, reason, seconds) {
    const first = argmax(steps[0].outputs), end = steps.at(-1), last = argmax(end.outputs);
    const changed = steps.find((step) => argmax(step.line.outputs) !== first);
    const drift = Math.max(...steps.map((step) => step.drift));
    return `The walk ends after ${steps.length - 1} steps: ${reason}. The image has come ${percent(end.share)} of ` +
      `the way to the target, the prediction is ${last === first ? "still" : "now"} ${last}, and no log-probability ` +
      `has changed by more than ${writeNumber(drift, 2)} nats; all pixels are between black and white. ` +
      (changed ? `On the straight line the prediction changes at ${percent(changed.share)}. ` : "") +
      `Computed in this page, at ${Math.round((steps.length - 1) / seconds)} steps per second.`;
  }
  const player = createPlayer(live, view, "Walk", { begin, show, expected: () => live.size() });
  tolerance.addEventListener("change", player.run);
  return player;
}

function createRaceView(live) {
  const view = findOne("#view-race"), tolerance = findOne(".tolerance", view), eta = findOne(".eta", view);
  const titles = ["the corrected walk", "SiMEC", "SiMExp", "the random control"];
  const names = ["corrected", "SiMEC", "SiMExp", "random"];
  let seed = 0;
  const begin = () => {
    const travel = live.size(), published = { eta: Number(eta.value) };
    const options = {
      corrected: { tolerance: Number(tolerance.value), longestStep: 0.02 },
      simec: published, simexp: published, control: { length: 0.02 * travel },
    };
    return Object.keys(options).map((algorithm) =>
      ({ algorithm, start: live.start, options: { ...options[algorithm], travel, seed } }));
  };
  function show(at, length, walks, done) {
    const held = walks[0].steps[0].outputs, size = live.size();
    walks.forEach(({ shown }, i) => captionPicture(view, i, shown, held));
    showBars(live, view, held, walks.map(({ shown }, i) => ({ name: names[i], values: shown.outputs })));
    const curve = ({ steps, shown }) => steps.filter((step) => step.travel <= shown.travel)
      .map((step) => [Math.min(1, step.travel / size), step.drift]);
    const drifts = walks.map(({ shown }, i) => `${titles[i]} ${writeNumber(shown.drift, 2)}`);
    showDrift(view, {
      to: 1, at: Math.min(1, at / size), tolerance: Number(tolerance.value),
      xLabel: "travel, in units of the start's norm",
      label: `Drift over travel, in nats: ${drifts.join(", ")}.`,
      lines: walks.map((walk, i) => ({ name: names[i], points: curve(walk) })).reverse(),
    });
    return done ? describeEnd(walks, held, size) :
      `Travel, the length of the path with all its turns, is ${(at / size).toFixed(2)} of the start's norm. ` +
      "The corrected walk and the control go straight on. SiMEC and SiMExp draw a new direction at each step, " +
      "which undoes much of their way. To us the corrected image is as noisy as the control; to the model it is the start.";
  }
  function describeEnd(walks, held, size) {
    const results = walks.map(({ steps }, i) => {
      const left = steps.find((step) => argmax(step.outputs) !== argmax(held));
      const where = left && (left.travel / size).toFixed(2);
      const what = left ? `leaves the predicted class at travel ${where}` : "keeps the prediction";
      const drift = writeNumber(Math.max(...steps.map((step) => step.drift)), 2);
      return `${titles[i]} ${what}, largest drift ${drift} nats, ${steps.length - 1} steps`;
    });
    return `The race ends: ${results.join("; ")}.`;
  }
  const player = createPlayer(live, view, "Race", { begin, show, expected: () => live.size() });
  for (const control of [tolerance, eta]) control.addEventListener("change", player.run);
  findOne(".seed", view).addEventListener("click", () => {
    seed += 1;
    player.run();
  });
  return player;
}

function createPullView(live) {
  const LONGEST = 4, POINTS = 33; // of a pull, in the unit of pixels; of a curve
  const view = findOne("#view-pull"), slider = findOne(".at", view), choice = findOne(".direction", view);
  const shares = Array.from({ length: POINTS }, (_, i) => (2 * i) / (POINTS - 1) - 1);
  const lengths = shares.map((share) => LONGEST * share * Math.abs(share)); // closer together where a pull is short
  let directions = [], held = null, turn = 0;
  const length = () => (LONGEST * slider.value) / 100;
  const walkOf = ({ inKernel }) => (inKernel ? "SiMEC" : "SiMExp"); // that steps along such directions
  const colourOf = (direction) => `--tm-algorithm-${walkOf(direction).toLowerCase()}`;
  const driftOf = (outputs) => Math.max(...outputs.map((value, i) => Math.abs(value - held[i])));
  const along = (direction, lengths) =>
    live.engine.ask("along", { image: live.start, direction: direction.vector, lengths });

  async function run() {
    const mine = ++turn;
    const metric = await live.engine.ask("metric", { image: live.start, target: live.target, seed: 1 });
    const outputs = await live.engine.ask("outputs", { image: live.start });
    if (mine !== turn) return;
    held = outputs;
    directions = metric.eigenvectors.map((vector, i) =>
      ({ name: `eigenvector ${i + 1}: eigenvalue ${metric.eigenvalues[i].toPrecision(3)}`, vector, inKernel: false }));
    directions.push({ name: "kernel: towards the target", vector: metric.towards, inKernel: true });
    directions.push({ name: "kernel: random noise", vector: metric.noise, inKernel: true });
    const chosen = Math.max(0, choice.selectedIndex);
    choice.replaceChildren(...directions.map(({ name }) => new Option(name)));
    choice.selectedIndex = Math.min(chosen, directions.length - 1);
    show();
    for (const direction of directions) {
      const curve = await along(direction, lengths);
      if (mine !== turn) return;
      direction.curve = lengths.map((length, i) => [length, driftOf(curve[i])]);
      showCurves();
    }
  }
  function showCurves() {
    const chosen = directions[choice.selectedIndex], computed = directions.filter((each) => each.curve);
    const lines = computed.filter((each) => each !== chosen)
      .map(({ curve, inKernel }) => ({ name: inKernel ? "SiMEC" : "", points: curve, isQuiet: true }));
    if (chosen.curve) lines.push({ name: "", title: "chosen", colour: `var(${colourOf(chosen)})`, points: chosen.curve });
    const label = `Drift of a pull along ${chosen.name}.`;
    showDrift(view, { from: -LONGEST, to: LONGEST, at: length(), lines, label, xLabel: "length of the pull" });
  }
  async function show() {
    const chosen = directions[choice.selectedIndex], mine = turn, far = length();
    if (!chosen) return;
    const [[outputs], [noisy]] = await Promise.all([chosen, directions.at(-1)].map((each) => along(each, [far])));
    if (mine !== turn || far !== length() || chosen !== directions[choice.selectedIndex]) return;
    const point = live.start.map((value, i) => value + far * chosen.vector[i]), drift = driftOf(outputs);
    captionPicture(view, 0, { point, outputs, drift }, held);
    findOne("figcaption", view).style.setProperty("--colour", `var(${colourOf(chosen)})`);
    drawChange(findAll("canvas", view)[1], chosen.vector.map((value) => value * (far || 1)));
    findAll(".says", view)[1].textContent = "red: brighter\nblue: darker";
    slider.setAttribute("aria-valuetext", `length ${far.toFixed(2)}`);
    showBars(live, view, held, [{ name: walkOf(chosen), values: outputs }]);
    showCurves();
    live.show(
      `A pull of ${far.toFixed(2)} (the start's norm is ${live.size().toFixed(1)}) changes a log-probability by ` +
      `${writeNumber(drift, 2)} nats; random noise of this length in the kernel, by ${writeNumber(driftOf(noisy), 2)}. ` +
      (chosen.inKernel ? "A null direction changes nothing to first order only: a long straight pull leaves the " +
        "class, which is why the walk turns and corrects at each step. " : "") +
      "Pixels may go beyond black and white here; the model sees them, and the picture cuts them off.");
  }
  const attempt = (act) => () => act().catch(live.fail);
  slider.addEventListener("input", attempt(show));
  choice.addEventListener("change", attempt(show));
  return { run: attempt(run), stop: () => turn++ };
}
