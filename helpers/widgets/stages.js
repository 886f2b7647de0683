// What is seen at a point of a session: one walk, a race of walks, or two walks over the plane.
import { algorithmColour, buildOnce, make, writeNumber } from "./dom.js";
import { drawPatchGrid } from "./patch_grid.js";
import { drawTokenStrip } from "./token_strip.js";
import { drawOutputBars, findLowestPower } from "./output_bars.js";
import { drawDriftPlot } from "./drift_plot.js";
import { drawPlane } from "./plane.js";

const LANE_TEXTS = {
  corrected: "a null direction, then back into the class",
  SiMEC: "a random null direction",
  SiMExp: "a random visible direction",
  random: "a random direction, the control",
};

// Each takes the elements {stage, plot} and the state of a walker, see walker.js.
export function drawWalkStage(parts, { setup, frames, shown, choices, isLinear }) {
  const { view, bars, key } = buildOnce(parts.stage, `walk ${setup.kind}`, () => {
    const view = make("div", { class: "tm-view-box" }), bars = make("div");
    const key = make("div", { class: "tm-caption" });
    parts.stage.append(view, make("div", { class: "tm-bars-box" }, key, bars));
    return { view, bars, key };
  });
  const frame = frames[shown];
  drawPoint(view, setup, frame, { selected: choices.parts, importance: frame.importance });
  drawBars(bars, setup, frame, frames[0], { isLinear });
  key.textContent = describeBars(setup, frames[0], isLinear);
  const points = frames.map(({ travel, drift }) => [travel, drift]);
  const runs = splitByAlgorithm(frames, shown, points);
  drawDriftPlot(parts.plot, { lines: runs, tolerance: choices.tolerance, unit: setup.unit });
}

// A walk that changes its algorithm is drawn as one line per run, each in its colour.
function splitByAlgorithm(frames, shown, points) {
  const runs = [];
  for (let i = 1; i < frames.length; i++) {
    if (!frames[i]) break;
    const name = frames[i].algorithm;
    if (runs.at(-1)?.name !== name) runs.push({ name, points: [points[i - 1]], shown: i - 1 <= shown ? 1 : 0 });
    runs.at(-1).points.push(points[i]);
    if (i <= shown) runs.at(-1).shown += 1;
  }
  return runs;
}

export function drawRaceStage(parts, { setup, frames, shown, choices, isLinear }) {
  const lanes = buildOnce(parts.stage, `race ${setup.kind}`, () => {
    const built = {};
    for (const name of setup.lanes) {
      const view = make("div", { class: "tm-view-box" }), bars = make("div", { class: "tm-bars-box" });
      const told = make("div", { class: "tm-lane-drift" });
      const title = make("div", { class: "tm-lane-name" }, name);
      title.style.setProperty("--tm-colour", algorithmColour(name));
      const lane = make("section", { class: `tm-lane tm-lane-${setup.kind}`, "aria-label": name }, title,
        make("div", { class: "tm-caption" }, LANE_TEXTS[name] ?? ""), view, told, bars);
      parts.stage.append(lane);
      built[name] = { view, bars, told };
    }
    return built;
  });
  for (const name of setup.lanes) {
    const frame = frames[shown].lanes[name], { view, bars, told } = lanes[name];
    drawPoint(view, setup, frame, { isFixed: true });
    drawBars(bars, setup, frame, frames[0].lanes[name], { isLinear, isSmall: setup.names.length > 3 });
    told.textContent = `drift ${writeNumber(frame.drift, 2)} ${setup.unit}`;
    told.title = frame.ended ?? "";
    if (frame.ended) told.textContent += `; stopped: ${frame.ended}`;
  }
  const lines = setup.lanes.map((name) => ({
    name,
    points: frames.filter(Boolean).map(({ lanes }) => [lanes[name].travel, lanes[name].drift]),
    shown: shown + 1,
  }));
  drawDriftPlot(parts.plot, { lines, tolerance: choices.tolerance, unit: setup.unit });
}

export function drawPlaneStage(parts, { ground, frames, shown, choices }) {
  const { view } = buildOnce(parts.stage, "plane", () => {
    const view = make("div", { class: "tm-plane-box" });
    parts.stage.append(view);
    return { view };
  });
  const seen = frames.slice(0, shown + 1), walks = {};
  for (const name of ["naive", "corrected"]) walks[name] = seen.filter(Boolean).map((frame) => frame[name]);
  const label = `plane under ${choices.function}; arrow keys move the cross, Enter starts there`;
  drawPlane(view, { ...ground, start: frames[0].corrected, walks, label });
  const lines = ["naive", "corrected"].map((name) => ({
    name, points: frames.filter(Boolean).map(({ travel, drifts }) => [travel, drifts[name]]), shown: shown + 1,
  }));
  drawDriftPlot(parts.plot, { lines, tolerance: null, unit: "units of the output" });
}

export function drawPoint(view, setup, frame, options) {
  if (setup.kind === "image") drawPatchGrid(view, { ...setup, ...frame, ...options });
  else drawTokenStrip(view, { ...setup, ...frame, ...options });
}

// What the bars and the drift are, in one sentence each, with their units.
export function describeBars({ quantity, is_logarithmic: isLogarithmic }, first, isLinear) {
  if (!isLogarithmic) return "";
  const from = writeNumber(10 ** findLowestPower(readOutputs(first)), 1);
  return `Bars: ${quantity}, ${isLinear ? "from 0 to 1" : `on a logarithmic axis from ${from} to 1`}. Marks: at the start.`;
}

export function drawBars(bars, setup, frame, first, options) {
  const names = [...setup.names, ...(setup.watched ?? [])], isLogarithmic = setup.is_logarithmic;
  const state = { names, isLogarithmic, ...options };
  drawOutputBars(bars, { ...state, values: readOutputs(frame), start: readOutputs(first), label: `${setup.quantity} of each output` });
}

function readOutputs({ outputs, watched }) {
  return [...outputs, ...(watched ?? [])];
}
