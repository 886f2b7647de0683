// An input and sliders that move it along single directions: those that the model sees, and those of its kernel.
import { buildOnce, describeWork, make, makePictures, tieToModel, writeNumber } from "./dom.js";
import { describeBars, drawBars, drawPoint } from "./stages.js";
import { createTakeAway } from "./take_away.js";

// Create an explorer in an element. `send` takes {do: "pull", index, length, id}; `update` of what is returned takes
// its answers: setup, pulled (the frame after a move), status {text, isError}, answered.
export function createDirections(root, send) {
  const state = {
    setup: null, pulled: null, status: {}, sent: 0, answered: 0,
    index: 0, length: 0, asked: "0 0", isLinear: true, gone: false,
  };
  root.classList.add("tm-directions", "tm-whole");
  const parts = buildDirections(root, () => pull(state.pulled?.direction ?? 0, state.pulled?.length ?? 0));
  parts.linear.addEventListener("change", () => {
    state.isLinear = parts.linear.checked;
    draw();
  });
  // Only one request is on its way; where the slider has moved on meanwhile, the next one follows the answer.
  const ask = () => {
    const wanted = `${state.index} ${state.length}`;
    if (state.sent > state.answered || state.asked === wanted) return;
    state.asked = wanted;
    [state.sent, state.progress] = [state.sent + 1, null];
    send({ do: "pull", index: state.index, length: state.length, id: state.sent });
  };
  const pull = (index, length) => {
    Object.assign(state, { index, length });
    draw();
    ask();
  };
  parts.code = createTakeAway(parts.more, send, send);
  const update = ({ file, ...change }) => {
    if (file) parts.code.receive(file);
    Object.assign(state, change);
    draw();
    ask();
  };
  const draw = () => drawDirections(parts, state, pull);
  return { update, state };
}

function buildDirections(root, showAgain) {
  const linear = make("input", { type: "checkbox", checked: true });
  const parts = {
    linear, key: make("div", { class: "tm-caption" }), stage: make("div", { class: "tm-stage" }), list: make("div", { class: "tm-direction-list", role: "list" }),
    before: make("div", { class: "tm-view-box" }), after: make("div", { class: "tm-view-box" }),
    bars: make("div", { class: "tm-bars-box" }), verdict: make("div", { class: "tm-verdict", role: "status" }),
    note: make("p", { role: "status", class: "tm-status tm-caption" }), lengths: make("p", { class: "tm-caption" }), more: make("div"),
    switch: make("label", { class: "tm-field" }, linear, make("span", {}, "bars from 0 to 1")),
  };
  const figure = (title, view) => make("figure", { class: "tm-figure" }, make("figcaption", {}, title), view);
  const output = make("div", { class: "tm-output-box" }, parts.verdict, parts.key, parts.bars, parts.switch);
  parts.stage.append(figure("input", parts.before), figure("moved input", parts.after), output);
  parts.pictures = makePictures("The input has not moved. Move a slider again, or go back to the last move.", showAgain, parts.stage);
  root.append(parts.pictures.box, parts.lengths, parts.list, parts.note, parts.more);
  return parts;
}

function drawDirections(parts, state, pull) {
  const { setup, pulled, index, length, status, progress, gone } = state;
  const isFailed = status.isError && state.sent <= state.answered;
  parts.pictures.draw(isFailed ? status.text : "");
  const computing = progress && state.sent > state.answered ? describeWork("the moved input", progress) : "";
  parts.note.textContent = gone ? "The kernel of this widget has stopped; run the cell again." : computing;
  if (!setup) return;
  const frame = pulled ?? setup.start;
  parts.code.draw(["code"], frame);
  drawPoint(parts.before, setup, setup.start, { isFixed: true, label: "the input" });
  drawPoint(parts.after, setup, frame, { isFixed: true, label: "the moved input" });
  drawBars(parts.bars, setup, frame, setup.start, { isLinear: state.isLinear });
  parts.key.textContent = describeBars(setup, setup.start, state.isLinear);
  parts.switch.hidden = !setup.is_logarithmic;
  parts.lengths.textContent =
    `Each slider moves the input along one direction, by up to ${writeNumber(setup.length)} either way, ` +
    `${Math.round((100 * setup.length) / setup.norm)}% of the input's norm. Along a visible direction the outputs react: ` +
    "the eigenvalue is the square of how strongly. Along a null direction they do not, to first order: its eigenvalue is 0. " +
    (setup.kind === "image"
      ? "Red pixels get brighter, blue ones darker. Null directions without a goal are drawn at random. "
      : "The vectors of words move; a word changes only where another word's vector becomes the nearest. ") +
    "Try the first visible direction to its end, then the first null one.";
  drawVerdict(parts.verdict, setup, frame);
  const rows = buildOnce(parts.list, JSON.stringify(setup.directions.map(({ name }) => name)), () =>
    setup.directions.map((direction, i) => buildDirection(parts.list, setup, direction, (share) => pull(i, share * setup.length))),
  );
  rows.forEach(({ slider, told }, i) => {
    const share = i === index ? length / setup.length : 0;
    if (Number(slider.value) !== share) slider.value = String(share);
    const isShown = i === frame.direction && frame.length !== 0 && !isFailed;
    told.textContent = isShown
      ? `moved by ${writeNumber(frame.length, 2)}: outputs change by up to ${writeNumber(frame.drift, 2)} ${setup.unit}`
      : "not moved";
    slider.setAttribute("aria-valuetext", told.textContent);
  });
}

function drawVerdict(element, setup, frame) {
  const best = (values) => values.indexOf(Math.max(...values));
  const [now, before] = [best(frame.outputs), best(setup.start.outputs)];
  element.classList.toggle("tm-flipped", now !== before);
  if (!setup.is_logarithmic) {
    element.textContent = "";
    return;
  }
  const share = writeNumber(Math.exp(frame.outputs[now]));
  element.textContent = `prediction: ${setup.names[now]} (${share})` + (now !== before ? `, it was ${setup.names[before]}` : "");
}

function buildDirection(list, setup, direction, pull) {
  const slider = make("input", { type: "range", min: "-1", max: "1", step: "0.05", value: "0", "aria-label": direction.name });
  slider.addEventListener("input", () => pull(Number(slider.value)));
  const sight = direction.picture
    ? make("img", { src: direction.picture, alt: `${direction.name} as an image`, class: "tm-thumbnail" })
    : make("span", { class: "tm-words" }, describeWords(direction));
  const isNull = direction.eigenvalue === 0;
  const told = make("span", { class: "tm-told" }, "not moved");
  const title = make("span", { class: "tm-direction-name" }, make("b", {}, direction.name),
    make("span", { class: "tm-caption" }, `eigenvalue ${writeNumber(direction.eigenvalue)}`));
  list.append(make("div", { role: "listitem", class: `tm-direction${isNull ? " tm-null" : ""}` }, sight, title, slider, told));
  return { slider, told };
}

function describeWords({ token, ahead, behind }) {
  return `moves “${token}” most\n→ towards ${ahead.join(", ")}\n← towards ${behind.join(", ")}`;
}

// -- what follows ties the explorer to the model of a notebook's widget

function translateTraits({ pulled, ...traits }) {
  return pulled.outputs ? { ...traits, pulled } : traits;
}

export default { render: (widget) => tieToModel(widget, createDirections, ["setup", "status", "pulled"], translateTraits) };
