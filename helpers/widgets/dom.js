// Small helpers to build a page; each takes an element or makes one, and nothing here knows of notebooks.
const CONTROLS = new Set(["button", "input", "select", "textarea", "canvas", "summary", "pre"]);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  if (CONTROLS.has(tag)) element.dataset.lmSuppressShortcuts = "true"; // the notebook would take its keys
  element.append(...children);
  return element;
}

const SVG_NAMESPACE = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI;

export function addSvg(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG_NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  parent.append(element);
  return element;
}

// Build the content of an element once for each key; later calls with the same key return what was built.
export function buildOnce(element, key, build) {
  if (element.tmKey !== key) {
    element.tmKey = key;
    element.replaceChildren();
    element.tmContent = build();
  }
  return element.tmContent;
}

// A control under a label; the label is its name, without the options that it holds.
export function makeField(text, control) {
  control.setAttribute("aria-label", text);
  return make("label", { class: "tm-field" }, make("span", {}, text), control);
}

export function tell(element, name, detail) {
  element.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
}

// The CSS variable with the colour of an algorithm.
export function algorithmColour(name) {
  return `var(--tm-algorithm-${name.toLowerCase().replaceAll("_", "-")})`;
}

// Write a number with so many significant digits: 0.0123, 93.7, 2.84×10⁻⁵. Every number in a widget is written by this,
// or by write_number of helpers.resources.display, which does the same in Python.
export function writeNumber(value, digits = 3) {
  if (!value || !Number.isFinite(value)) return String(value ?? 0);
  const sign = value < 0 ? "−" : "", [mantissa, exponent] = Math.abs(value).toExponential(digits - 1).split("e");
  const power = Number(exponent);
  if (power >= -3 && power < 4) return sign + Number(`${mantissa}e${power}`).toFixed(Math.max(0, digits - 1 - power));
  const raised = Array.from(String(power), (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit] ?? "⁻").join("");
  return `${sign}${mantissa === "1" ? "" : `${mantissa}×`}10${raised}`;
}

// Write a number at an axis: two significant digits at most.
export function writeTick(value) {
  return writeNumber(value, Number(value.toPrecision(1)) === Number(value.toPrecision(2)) ? 1 : 2);
}

// Say what is computed, and how far it is: {seconds, share of the work that the last request of its kind took}.
export function describeWork(work, progress) {
  const told = progress ? [`${progress.seconds} s`] : [];
  if (progress?.share) told.push(`about ${Math.round(100 * progress.share)}% done`);
  return [work ? `computing: ${work}` : "computing", ...told].join(", ");
}

// Return a function that calls another one once, however often it is called at a time: several traits change together.
export function callOnce(show) {
  let isPlanned = false;
  return () => {
    if (isPlanned) return;
    isPlanned = true;
    queueMicrotask(() => {
      isPlanned = false;
      show();
    });
  };
}

// Call a function whenever any of a model's traits changes; return a function that ends it.
export function listenTo(model, traits, react) {
  const events = traits.map((trait) => `change:${trait}`);
  for (const event of events) model.on(event, react);
  return () => events.forEach((event) => model.off(event, react));
}

// Pictures, in whose place an error stands until a request succeeds, or until the reader asks for the pictures again.
export function makePictures(advice, showAgain, ...pictures) {
  const seen = make("div", { class: "tm-seen" }, ...pictures), text = make("div", { role: "alert" });
  const again = make("button", { type: "button", class: "tm-button", on: { click: showAgain } }, "show the picture again");
  const alarm = make("div", { class: "tm-alarm" }, text, make("p", {}, advice), again);
  const draw = (error) => {
    seen.classList.toggle("tm-covered", Boolean(error));
    alarm.hidden = !error;
    text.textContent = error;
  };
  draw("");
  return { box: make("div", { class: "tm-pictures" }, seen, alarm), draw };
}

// Tell whether the kernel behind a view still answers, whenever that changes. The view is what anywidget calls back with.
export function watchKernel(model, tell) {
  const listener = function () {
    if (this?.model?.comm_live !== undefined) tell(this.model.comm_live);
  };
  model.on("comm_live_update", listener);
  return () => model.off("comm_live_update", listener);
}

// Tie a view to the model of a notebook's widget. `create(el, send)` makes the view; its `update` takes what `translate`
// makes of the model's traits, the number of the last request that was answered, and custom messages as they are, but not
// those to another view of the widget.
export function tieToModel({ model, el }, create, traits, translate) {
  const name = Math.random().toString(36).slice(2);
  const view = create(el, (command) => model.send({ ...command, view: name }));
  const read = () => {
    const { view: asker, id } = model.get("answered");
    const change = translate(Object.fromEntries(traits.map((trait) => [trait, model.get(trait)])));
    view.update({ ...change, ...(asker === name ? { answered: id } : {}) });
  };
  const plan = callOnce(read);
  const events = Object.fromEntries(["answered", ...traits].map((trait) => [`change:${trait}`, plan]));
  events["msg:custom"] = ({ view: asker, ...message }) => (asker ?? name) === name && view.update(message);
  for (const [event, listener] of Object.entries(events)) model.on(event, listener);
  const forget = watchKernel(model, (lives) => {
    for (const part of el.children) part.toggleAttribute("inert", !lives && !part.classList.contains("tm-status"));
    view.update({ gone: !lives });
  });
  read();
  return () => {
    view.stop?.();
    for (const [event, listener] of Object.entries(events)) model.off(event, listener);
    forget();
  };
}

// Let a group of cells be chosen: by click, by painting with the pointer, or by arrow keys and space.
// The first click chooses what is clicked; where none is chosen, all may move.
export function makeChoosable(group, cells, { columns, isChosen, choose }) {
  let painting = null;
  const enabled = (cell) => cell && !cell.disabled;
  const focus = (cell) => {
    cells.forEach((other) => (other.tabIndex = other === cell ? 0 : -1));
    cell.focus({ preventScroll: true });
  };
  const paint = (cell) => {
    const index = cells.indexOf(cell);
    if (enabled(cell) && isChosen(index) !== painting.on) choose(index, painting.on, false);
  };
  group.addEventListener("pointerdown", (event) => {
    const cell = event.target.closest("button");
    if (!cells.includes(cell) || !enabled(cell) || event.button) return;
    painting = { on: !isChosen(cells.indexOf(cell)) };
    paint(cell);
    focus(cell);
    group.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  group.addEventListener("pointermove", (event) => {
    if (!painting) return;
    const cell = document.elementFromPoint(event.clientX, event.clientY)?.closest("button");
    if (cells.includes(cell)) paint(cell);
  });
  const end = () => {
    if (painting) choose(null, null, true);
    painting = null;
  };
  group.addEventListener("pointerup", end);
  group.addEventListener("pointercancel", end);
  group.addEventListener("click", (event) => {
    const index = cells.indexOf(event.target.closest("button"));
    if (index < 0 || event.detail) return; // a click of a pointer was seen above
    choose(index, !isChosen(index), true);
  });
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!step) return;
    let next = cells.indexOf(event.target) + step;
    while (cells[next]?.disabled) next += step;
    if (cells[next]) focus(cells[next]);
    event.preventDefault();
    event.stopPropagation();
  });
  const first = cells.find(enabled);
  cells.forEach((cell) => (cell.tabIndex = cell === first ? 0 : -1));
}
