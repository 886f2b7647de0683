// A plane with level curves, and two walks over it. A click or Enter sets the start.
import { addSvg, algorithmColour, buildOnce, make, tell, writeTick } from "./dom.js";

const PLANE = { size: 340, left: 30, bottom: 24 }; // pixels: the map, and what its tick labels need
const PLANE_WALKS = ["naive", "corrected"];

// state: {span, contours, level, start, walks: {naive: points, corrected: points}, label}; event: tm-start, with {start}
export function drawPlane(element, state) {
  const plane = buildOnce(element, `plane ${state.span}`, () => buildPlane(element, state.span));
  plane.map.setAttribute("aria-label", state.label);
  if (plane.shown !== state.contours || plane.level !== state.level) {
    plane.contours.setAttribute("d", state.contours.map(plane.trace).join(""));
    plane.curve.setAttribute("d", state.level.map(plane.trace).join(""));
    [plane.shown, plane.level] = [state.contours, state.level];
  }
  if (String(plane.begin) !== String(state.start)) {
    plane.begin = state.start;
    plane.dot.setAttribute("cx", plane.toX(state.start[0]));
    plane.dot.setAttribute("cy", plane.toY(state.start[1]));
    plane.pointAt(...state.start);
  }
  for (const walk of PLANE_WALKS) showPlaneWalk(plane, walk, state.walks[walk]);
}

function showPlaneWalk(plane, walk, points) {
  const hasSteps = points.length > 1;
  plane.lines[walk].setAttribute("d", plane.trace(points));
  plane.dots[walk].setAttribute("d", plane.spell(points).map((spot) => `M${spot}h0`).join(""));
  plane.ends[walk].style.display = hasSteps ? "" : "none";
  if (!hasSteps) return;
  const [x, y] = points.at(-1);
  plane.ends[walk].setAttribute("x", plane.toX(x) - 4.5);
  plane.ends[walk].setAttribute("y", plane.toY(y) - 4.5);
}

function buildPlane(element, span) {
  const { size, left, bottom } = PLANE;
  const toX = (x) => ((x / span + 1) * size) / 2, toY = (y) => ((1 - y / span) * size) / 2;
  const spell = (points) => points.map(([x, y]) => `${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`);
  const trace = (points) => (points.length ? `M${spell(points).join("L")}` : "");
  const frame = make("div", { class: "tm-plane" });
  element.append(frame);
  const sheet = addSvg(frame, "svg", { viewBox: `0 0 ${size + left} ${size + bottom}` });
  const map = addSvg(sheet, "svg", { x: left, y: 0, width: size, height: size, class: "tm-map", tabindex: 0 });
  map.setAttribute("role", "application");
  map.dataset.lmSuppressShortcuts = "true"; // the notebook would take the arrow keys
  map.setAttribute("aria-roledescription", "map to choose a point of");
  addSvg(map, "rect", { width: size, height: size, class: "tm-ground" });
  const contours = addSvg(map, "path", { class: "tm-contours" }), curve = addSvg(map, "path", { class: "tm-level" });
  const lines = {}, dots = {}, ends = {};
  for (const walk of PLANE_WALKS) {
    lines[walk] = addSvg(map, "path", { class: `tm-line tm-${walk}` });
    dots[walk] = addSvg(map, "path", { class: `tm-dots tm-${walk}` });
    ends[walk] = addSvg(map, "rect", { width: 9, height: 9, class: `tm-end tm-${walk}` });
    for (const mark of [lines, dots, ends]) mark[walk].style.setProperty("--tm-colour", algorithmColour(walk));
  }
  const dot = addSvg(map, "circle", { r: 5, class: "tm-start" }), cross = addSvg(map, "path", { class: "tm-cross" });
  for (const share of [-1, -0.5, 0, 0.5, 1]) {
    const at = share * span, shift = -share * 5; // the outer ones stay inside
    addSvg(sheet, "text", { x: left + toX(at) + shift, y: size + 16, "text-anchor": "middle" }, writeTick(at));
    addSvg(sheet, "text", { x: left - 6, y: toY(at) + 4 - shift, "text-anchor": "end" }, writeTick(at));
  }
  const where = make("div", { class: "tm-where", role: "status" });
  frame.append(where);

  // the cross shows where a click or Enter would start; its position is rounded to a hundredth of the span's decade
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(span)));
  const plane = { map, contours, curve, lines, dots, ends, dot, toX, toY, spell, trace, target: [0, 0] };
  plane.pointAt = (x, y) => {
    plane.target = [x, y].map((value) => Number(Math.min(span, Math.max(-span, value)).toFixed(decimals)));
    const across = toX(plane.target[0]), down = toY(plane.target[1]);
    cross.setAttribute("d", `M${across - 9} ${down}h18M${across} ${down - 9}v18`);
    where.textContent = `cross at x = ${plane.target[0].toFixed(decimals)}, y = ${plane.target[1].toFixed(decimals)}`;
  };
  const pointWith = (event) => {
    const box = sheet.getBoundingClientRect(), scale = (size + left) / box.width;
    const right = (event.clientX - box.left) * scale - left, down = (event.clientY - box.top) * scale;
    plane.pointAt((2 * right / size - 1) * span, (1 - 2 * down / size) * span);
  };
  const choose = () => tell(element, "tm-start", { start: [...plane.target] });
  map.addEventListener("pointermove", pointWith);
  map.addEventListener("pointerleave", () => plane.begin && plane.pointAt(...plane.begin));
  map.addEventListener("click", (event) => (pointWith(event), choose()));
  map.addEventListener("keydown", (event) => {
    const step = 10 ** ((event.shiftKey ? 0 : 1) - decimals);
    const move = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (move) plane.pointAt(plane.target[0] + step * move[0], plane.target[1] + step * move[1]);
    else if (event.key === "Enter" || event.key === " ") choose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return plane;
}
