// Drift over travel on a logarithmic axis, one line per walk, with the tolerance that the corrected walk holds.
import { addSvg, algorithmColour, buildOnce, make, writeNumber, writeTick } from "./dom.js";

const PLOT = { height: 190, left: 54, right: 84, top: 10, bottom: 34 }; // pixels
const PLOT_DASHES = { corrected: "", SiMEC: "7 3", SiMExp: "2 3", random: "9 3 2 3", naive: "7 3" };

// state: {lines: [{name, points: [[travel, drift], ...], shown: how many of them}], tolerance, unit}
// A line may have a colour of its own (CSS), another title at its end, and may be quiet: thin and grey, without a title.
// Optional are xLabel, from and to (ends of the axis), format (of its numbers), lowest (power of ten), at (a mark), label.
export function drawDriftPlot(element, state) {
  element.tmState = state;
  const sheet = buildOnce(element, "plot", () => {
    const box = make("div", { class: "tm-drift-plot", role: "img" });
    element.append(box);
    const observer = new ResizeObserver(() => element.tmState && paintDriftPlot(box, element.tmState));
    observer.observe(box);
    return box;
  });
  paintDriftPlot(sheet, state);
}

function paintDriftPlot(box, state) {
  const { lines, tolerance, unit, from = 0, at, xLabel = "distance travelled" } = state;
  const format = state.format ?? writeTick;
  const width = box.clientWidth, height = PLOT.height;
  if (!width) return; // not in the page yet
  const drifts = lines.flatMap(({ points }) => points.map(([, drift]) => drift)).filter((drift) => drift > 0);
  const low = state.lowest ?? Math.floor(Math.log10(Math.min(tolerance ?? 1, ...drifts, 1))) - 0.3;
  const high = Math.max(1, Math.ceil(Math.log10(Math.max(...drifts, 1))));
  const far = state.to ?? (Math.max(0, ...lines.map(({ points }) => points.at(-1)?.[0] ?? 0)) || 1);
  const toX = (travel) => PLOT.left + ((travel - from) / (far - from)) * (width - PLOT.left - PLOT.right);
  const toY = (drift) => {
    const share = (Math.log10(Math.max(drift, 1e-300)) - low) / (high - low);
    return height - PLOT.bottom - Math.max(0, share) * (height - PLOT.top - PLOT.bottom);
  };
  box.replaceChildren();
  const sheet = addSvg(box, "svg", { width, height, "aria-hidden": "true" });
  const step = Math.max(1, Math.ceil((high - low) / 6));
  for (let power = high; power >= low; power -= step) {
    const y = toY(10 ** power), label = writeTick(10 ** power);
    addSvg(sheet, "line", { x1: PLOT.left, x2: width - PLOT.right, y1: y, y2: y, class: "tm-grid" });
    addSvg(sheet, "text", { x: PLOT.left - 6, y: y + 4, "text-anchor": "end" }, label);
  }
  const base = height - PLOT.bottom, middle = (PLOT.left + width - PLOT.right) / 2;
  addSvg(sheet, "line", { x1: PLOT.left, x2: width - PLOT.right, y1: base, y2: base, class: "tm-axis" });
  for (const share of [0, 0.5, 1]) {
    const value = from + share * (far - from);
    addSvg(sheet, "text", { x: toX(value), y: base + 14, "text-anchor": "middle" }, format(value));
  }
  addSvg(sheet, "text", { x: middle, y: height - 4, "text-anchor": "middle" }, xLabel);
  addSvg(sheet, "text", { x: 11, y: height / 2, "text-anchor": "middle", transform: `rotate(-90 11 ${height / 2})` }, `drift, ${unit}`);
  if (tolerance) {
    const y = toY(tolerance);
    addSvg(sheet, "line", { x1: PLOT.left, x2: width - PLOT.right, y1: y, y2: y, class: "tm-tolerance" });
    addSvg(sheet, "text", { x: width - PLOT.right, y: y - 4, "text-anchor": "end", class: "tm-quiet" }, "tolerance");
  }
  const ends = [];
  if (!drifts.length) addSvg(sheet, "text", { x: middle, y: height / 2, "text-anchor": "middle", class: "tm-quiet" }, "no drift yet");
  if (at !== undefined) addSvg(sheet, "line", { x1: toX(at), x2: toX(at), y1: PLOT.top, y2: base, class: "tm-at" });
  for (const { name, title = name, points, shown, isQuiet, colour = algorithmColour(name) } of lines) {
    const positive = ([, drift]) => drift > 0, spots = points.filter(positive), seen = points.slice(0, shown).filter(positive);
    const trace = (list) => (list.length ? `M${list.map(([x, y]) => `${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join("L")}` : "");
    const style = isQuiet ? "stroke: var(--tm-line); stroke-width: 1px" : `stroke: ${colour}`;
    const draw = (list, kind) => addSvg(sheet, "path", { d: trace(list), class: kind, style, "stroke-dasharray": PLOT_DASHES[name] ?? "" });
    if (shown < points.length) draw(spots, "tm-later");
    draw(seen, "tm-line");
    const end = seen.at(-1);
    if (!end || isQuiet) continue;
    addSvg(sheet, "circle", { cx: toX(end[0]), cy: toY(end[1]), r: 4, style: `fill: ${colour}` });
    ends.push({ title, y: toY(end[1]) });
  }
  ends.sort((a, b) => a.y - b.y);
  ends.forEach((end, i) => {
    end.y = Math.max(end.y, i ? ends[i - 1].y + 13 : 0); // names do not cover each other
    addSvg(sheet, "text", { x: width - PLOT.right + 8, y: end.y + 4, class: "tm-name" }, end.title);
  });
  const told = lines.map(({ name, points, shown }) => `${name} ${writeNumber(points[Math.max(0, shown - 1)]?.[1] ?? 0, 2)}`).join(", ");
  box.setAttribute("aria-label", state.label ?? `drift over ${xLabel}, in ${unit}: ${told}`);
}
