// A walk by hand: what is seen at a point, the drift so far, and controls. It draws frames and sends commands.
import { describeWork, make, makeField, makePictures, tieToModel, writeNumber } from "./dom.js";
import { drawPlaneStage, drawRaceStage, drawWalkStage } from "./stages.js";
import { createInputPanel } from "./inputs.js";
import { drawWords, watchTokens } from "./words.js";
import { createTakeAway } from "./take_away.js";

const PLAY_INTERVAL = 300; // milliseconds from one step on the screen to the next request
const MANY_STEPS = 20; // of the button that makes many
const SILENCE = 1500; // milliseconds without an answer after which the walker says that the kernel is busy
const DRIFT_TEXT = "Drift: the largest change of a log-probability since the start; 0.01 nats is 1% of a probability.";
const WORK = { // command -> what it takes
  step: "a step", read: "the new input", replace_word: "the new sentence", find_words: "other words at this token", show: "the start of the walks", watch: "the class at all points",
};
const FILE_KINDS = { sentence: ["code", "csv", "path"], image: ["code", "csv", "path", "gif", "mp4", "png"] };
const TOLERANCES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2];

// Create a walker in an element. `send` takes a command {do, ...}; `update` of what is returned takes its answers:
// setup, ground (of the plane), frames with their first index, place {count, selected}, choices, status {text, isError}, busy, answered.
export function createWalker(root, send) {
  const state = {
    setup: null, frames: [], place: { count: 0, selected: 0 }, shown: 0, choices: {}, status: {}, busy: false,
    sent: 0, answered: 0, left: 0, isPainting: false, words: {}, token: null, isLinear: false, gone: false,
    isStopping: false, work: "", progress: null, seen: null, // the status whose error the reader has put away
  };
  root.classList.add("tm-walker", "tm-whole");
  const showAgain = () => {
    state.seen = state.status;
    draw();
  };
  const parts = buildWalker(root, showAgain);
  parts.inputs = createInputPanel(parts.more, (command) => (halt(), ask(command)));
  parts.files = createTakeAway(parts.more, (command) => ask(command), send, () => state.frames[state.shown].picture);
  let silence = null, timer = null;

  const ask = (command) => {
    state.sent += 1;
    Object.assign(state, { work: WORK[command.do], progress: null });
    clearTimeout(silence);
    silence = setTimeout(() => {
      if (!state.busy && state.sent > state.answered) parts.receipt.textContent = "sent; the kernel is busy with other work";
    }, SILENCE);
    send({ ...command, id: state.sent });
    draw();
  };
  const pause = () => {
    clearTimeout(timer);
    state.left = 0;
  };
  // What is computed is stopped where its result would be discarded.
  const halt = () => {
    pause();
    if (state.busy || state.sent > state.answered) send({ do: "stop" });
  };
  const show = (index) => {
    state.shown = Math.min(Math.max(0, index), state.place.count - 1);
    ask({ do: "select", index: state.shown });
  };
  const play = (steps) => {
    state.left = steps;
    ask({ do: "step" });
  };
  // What is chosen shows at once; the kernel's own choices count again when it has answered all requests.
  const choose = (choices) => {
    state.choices = { ...state.choices, ...choices };
    ask({ do: "choose", ...choices });
  };
  const actions = {
    back: () => show(state.shown - 1),
    step: () => ask({ do: "step" }),
    stop: () => {
      state.isStopping = true;
      halt();
      draw();
    },
    play: () => (state.left ? (pause(), draw()) : play(Infinity)),
    many: () => play(MANY_STEPS),
    restart: () => (halt(), ask({ do: "restart" })),
    all: () => choose({ parts: [] }),
  };
  for (const [name, action] of Object.entries(actions)) parts[name].addEventListener("click", action);
  parts.slider.addEventListener("input", () => (pause(), show(Number(parts.slider.value))));
  parts.linear.addEventListener("change", () => {
    state.isLinear = parts.linear.checked;
    draw();
  });
  for (const name of ["algorithm", "step_length", "function", "target"]) {
    parts[name].addEventListener("change", () => choose({ [name]: parts[name].value }));
  }
  parts.word.addEventListener("change", () => choose({ target: parts.word.value.trim() || null }));
  for (const typed of [parts.word, parts.watch]) typed.addEventListener("keydown", (event) => event.stopPropagation());
  parts.watch.addEventListener("change", () => parts.watch.value && ask({ do: "watch", name: parts.watch.value }));
  parts.tolerance.addEventListener("change", () => choose({ tolerance: Number(parts.tolerance.value) }));
  for (const button of parts.modes.children) {
    button.addEventListener("click", () => (pause(), ask({ do: "show", mode: button.value })));
  }
  root.addEventListener("tm-choose", ({ detail }) => {
    state.isPainting = !detail.isLast;
    state.choices = { ...state.choices, parts: detail.parts };
    if (detail.isLast) ask({ do: "choose", parts: detail.parts });
    else draw();
  });
  root.addEventListener("tm-start", ({ detail }) => (halt(), ask({ do: "choose", start: detail.start })));

  watchTokens(parts.stage, () => state.setup.kind === "sentence" && !state.setup.lanes, (part) => {
    state.token = part;
    if (state.words[part]) draw();
    else ask({ do: "find_words", part });
  });
  parts.putWord = (part, word) => (halt(), ask({ do: "replace_word", part, word }));
  const goOn = () => {
    clearTimeout(timer);
    if (state.status.isError || state.status.isEnd) state.left = 0;
    if (!state.left || state.sent > state.answered) return;
    state.left -= 1;
    if (state.left) timer = setTimeout(() => state.left && ask({ do: "step" }), PLAY_INTERVAL);
  };
  const update = (change) => {
    const { frames, from, choices, words, file, ...rest } = change;
    if (rest.setup && rest.setup !== state.setup) {
      state.frames = [];
      if (rest.setup.text !== state.setup?.text) [state.words, state.token] = [{}, null];
    }
    if (words) state.words[words.part] = words;
    if (file) parts.files.receive(file);
    const wasAnswered = state.answered;
    Object.assign(state, rest);
    if (frames) frames.forEach((frame, i) => (state.frames[from + i] = frame));
    state.frames.length = Math.min(state.frames.length, state.place.count);
    if (state.sent <= state.answered && !state.isPainting) {
      state.shown = state.place.selected;
      state.choices = choices ?? state.choices;
    }
    state.shown = Math.min(state.shown, Math.max(0, state.place.count - 1));
    if (state.answered > wasAnswered) {
      state.seen = null; // an error that comes again is shown again
      goOn();
    }
    if (!state.busy) state.progress = null;
    state.isStopping &&= state.busy || state.sent > state.answered;
    draw();
    const missing = [...Array(state.place.count).keys()].find((index) => !state.frames[index]);
    if (missing !== undefined && state.asked !== `${missing} ${state.place.count}`) {
      state.asked = `${missing} ${state.place.count}`;
      send({ do: "send_frames", first: missing });
    } else if (missing === undefined) state.asked = null;
  };
  const draw = () => drawWalker(parts, state);
  return { update, state, stop: () => (pause(), clearTimeout(silence)) };
}

function buildWalker(root, showAgain) {
  const button = (text, title) => make("button", { type: "button", class: "tm-button", title }, text);
  const parts = {
    back: button("back", "go to the previous point"),
    step: button("step", "make a step, or go to the next point"),
    play: button("play", "make steps until you press pause"),
    many: button(`${MANY_STEPS} steps`, `make ${MANY_STEPS} steps; pause ends them after the present one`),
    stop: button("stop", "stop what is being computed; all earlier results are kept"),
    restart: button("restart", "go back to the start and discard all other points"),
    all: button("all", "let all parts move"),
    slider: make("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": "point shown" }),
    algorithm: make("select"), step_length: make("select"), function: make("select"), target: make("select"),
    word: make("input", { type: "text", size: 10, placeholder: "a word" }),
    tolerance: make("select"), watch: make("input", { type: "text", size: 14, placeholder: "name of a class" }),
    linear: make("input", { type: "checkbox" }),
    modes: make("div", { class: "tm-modes", role: "group", "aria-label": "what is shown" }),
    stage: make("div", { class: "tm-stage" }), words: make("div", { class: "tm-words-box" }), more: make("div"), plot: make("div", { class: "tm-plot" }), unit: make("div", { class: "tm-caption" }, DRIFT_TEXT),
    progress: make("progress", { max: MANY_STEPS, value: 0, "aria-label": "steps made" }),
    receipt: make("span", { class: "tm-receipt", "aria-hidden": "true" }),
    busy: make("div", { class: "tm-busy", role: "progressbar", "aria-label": "computing", hidden: true }),
    note: make("div", { role: "status" }),
  };
  parts.pictures = makePictures(
    "The walk is as it was. Change what the message names, or go on from where the walk is.", showAgain, parts.stage, parts.words, make("div", {}, parts.plot, parts.unit),
  );
  for (const [value, text] of [["walk", "one walk"], ["race", "race of all walks"]]) {
    parts.modes.append(make("button", { type: "button", class: "tm-button", value }, text));
  }
  parts.fields = {
    function: makeField("function", parts.function), algorithm: makeField("walk", parts.algorithm),
    step_length: makeField("step length", parts.step_length), target: makeField("towards", parts.target), word: makeField("towards the word", parts.word),
    tolerance: makeField("tolerance", parts.tolerance), watch: makeField("show also", parts.watch),
    linear: make("label", { class: "tm-field" }, parts.linear, make("span", {}, "bars from 0 to 1")),
  };
  parts.status = make("div", { class: "tm-status" }, parts.busy, parts.note, parts.receipt);
  root.append(
    parts.modes, parts.pictures.box,
    make("div", { class: "tm-row" }, parts.back, parts.step, parts.play, parts.many, parts.stop, parts.slider, parts.progress),
    make("div", { class: "tm-row" }, ...Object.values(parts.fields), parts.all, parts.restart),
    parts.status, parts.more,
  );
  return parts;
}

function setOptions(select, options, value) {
  const key = JSON.stringify(options);
  if (select.tmKey !== key) {
    select.tmKey = key;
    select.replaceChildren(...options.map(([own, text]) => make("option", { value: String(own) }, text)));
  }
  if (document.activeElement !== select || select.value !== String(value)) select.value = String(value);
}

function drawWalker(parts, state) {
  const { setup, frames, shown, choices, place } = state;
  const waits = state.sent > state.answered, isAtWork = waits || state.busy;
  if (!waits) parts.receipt.textContent = "";
  else if (!parts.receipt.textContent) parts.receipt.textContent = "sent";
  if (state.busy) parts.receipt.textContent = state.isStopping ? "stopping" : describeWork(waits ? state.work : "", state.progress);
  parts.busy.hidden = !isAtWork;
  parts.stop.disabled = !isAtWork || state.gone;
  parts.status.setAttribute("aria-busy", String(isAtWork));
  parts.pictures.draw(state.status.isError && !isAtWork && state.seen !== state.status ? state.status.text : "");
  if (!setup) return;
  const isPlane = setup.kind === "plane", isRace = Boolean(setup.lanes);
  parts.modes.hidden = parts.inputs.panel.hidden = isPlane;
  if (!isPlane) parts.inputs.draw(setup, state.menus);
  parts.files.draw(isPlane || isRace ? ["code"] : FILE_KINDS[setup.kind], frames.at(-1));
  drawWords(parts.words, isRace ? null : state.words[state.token], setup.variation, parts.putWord);
  for (const button of parts.modes.children) {
    button.setAttribute("aria-pressed", String((button.value === "race") === isRace));
  }
  const named = (list) => (list ?? []).map((name) => [name, name]);
  setOptions(parts.algorithm, named(setup.algorithms), choices.algorithm);
  setOptions(parts.step_length, named(setup.step_lengths), choices.step_length);
  setOptions(parts.function, named(setup.functions), choices.function);
  setOptions(parts.target, [["", "no target"], ...named(setup.target_names)], choices.target ?? "");
  const tolerances = [...new Set([...TOLERANCES, choices.tolerance ?? 1e-4])].sort((a, b) => a - b);
  setOptions(parts.tolerance, tolerances.map((value) => [value, `${writeNumber(value, 1)} ${setup.unit ?? ""}`]), choices.tolerance);
  parts.fields.function.hidden = !isPlane;
  parts.fields.algorithm.hidden = isPlane || isRace;
  parts.fields.tolerance.hidden = isPlane;
  const takesWord = setup.kind === "sentence";
  parts.fields.target.hidden = takesWord || !setup.target_names?.length;
  parts.fields.word.hidden = !takesWord;
  if (document.activeElement !== parts.word) parts.word.value = choices.target ?? "";
  parts.fields.watch.hidden = isPlane || setup.class_count <= setup.names.length;
  if (parts.watch.tmWatched !== String(setup.watched)) [parts.watch.value, parts.watch.tmWatched] = ["", String(setup.watched)];
  parts.unit.hidden = parts.fields.linear.hidden = !setup.is_logarithmic;
  parts.all.hidden = isPlane;
  parts.all.textContent = `all ${setup.part_kind ?? ""}`;
  parts.all.disabled = !choices.parts?.length;
  parts.slider.max = String(Math.max(0, place.count - 1));
  parts.slider.disabled = place.count < 2;
  if (document.activeElement !== parts.slider || Number(parts.slider.value) !== shown) parts.slider.value = String(shown);
  parts.slider.setAttribute("aria-valuetext", `point ${shown} of ${place.count - 1}`);
  parts.play.textContent = state.left ? "pause" : "play";
  parts.progress.hidden = !state.left || state.left === Infinity;
  parts.progress.value = MANY_STEPS - Math.min(MANY_STEPS, state.left);
  const frame = frames[shown];
  if (!frame || !frames[0]) return;
  if (isPlane) drawPlaneStage(parts, state);
  else if (isRace) drawRaceStage(parts, state);
  else drawWalkStage(parts, state);
  drawStatus(parts, state);
}

function drawStatus(parts, { setup, frames, shown, place, status, gone, sent, answered }) {
  const frame = frames[shown], lines = [`point ${shown} of ${place.count - 1}`];
  if (setup.kind === "plane") {
    lines[0] += `: each has travelled ${writeNumber(frame.travel)}`;
    lines.push(`drift: naive ${writeNumber(frame.drifts.naive, 2)}, corrected ${writeNumber(frame.drifts.corrected, 2)}`);
  } else if (!setup.lanes) {
    const name = setup.kind === "image" ? "the image" : "the sentence";
    lines[0] += `: travelled ${writeNumber(frame.travel)}, ${name}'s norm is ${writeNumber(setup.norm)}`;
    lines.push(`drift ${writeNumber(frame.drift, 2)} ${setup.unit}, ${setup.variation} ${writeNumber(frame.variation, 2)}`);
  }
  if (gone) lines.push("The kernel of this widget has stopped; run the cell again.");
  else if (status.text && !status.isError && sent <= answered) lines.push(status.text);
  parts.note.textContent = lines.join("\n");
}

// -- what follows ties the walker to the model of a notebook's widget

const WALKER_TRAITS = ["setup", "frame", "place", "choices", "status", "busy", "menus", "span", "contours", "level"];

function translateTraits({ frame: { index, ...frame }, span, contours, level, ...traits }) {
  return { ...traits, ground: { span, contours, level }, ...(index === undefined ? {} : { frames: [frame], from: index }) };
}

export default { render: (widget) => tieToModel(widget, createWalker, WALKER_TRAITS, translateTraits) };
