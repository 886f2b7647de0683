// Walks and moves that were stored: what helpers.sessions and the widgets answer to the commands of their page.
import { createModel, showView, NOT_STORED, players } from "./player.js";

const KEYS = ["name", "mode", "algorithm", "target"]; // what tells one stored walk from another
const ENDED = "The stored walk ends here; a running notebook goes on.";

// session: {choices, walks: [{name, mode, algorithm, target, setup, frames, end}], words: {name: [words of a token]},
// pictures}, where a frame has the number of its picture
function playWalker(session, place) {
  const show = ({ lanes, ...frame }) => (lanes
    ? { lanes: Object.fromEntries(Object.entries(lanes).map(([name, lane]) => [name, show(lane)])) }
    : { ...frame, picture: session.pictures[frame.picture] });
  const walks = session.walks.map((walk) => ({ ...walk, frames: walk.frames.map(show) }));
  const names = [...new Set(walks.map(({ name }) => name))];
  const targets = [...new Set(walks.map(({ target }) => target))].filter(Boolean);
  const FIRST = "the first input";
  let now = walks[0], algorithm = now.algorithm, selected = 0, told = 0;
  const describe = () => ({
    setup: { ...now.setup, step_lengths: [session.choices.step_length], target_names: targets, serial: told },
    place: { count: now.frames.length, selected },
    choices: { ...session.choices, algorithm, target: now.target },
  });
  // Go to the stored walk that differs from this one as wanted, or say that there is none.
  const change = (wanted) => {
    const key = { ...Object.fromEntries(KEYS.map((name) => [name, now[name]])), ...wanted };
    const found = walks.find((walk) => KEYS.every((name) => walk[name] === key[name]));
    if (!found) throw new Error(NOT_STORED);
    if (found !== now) [now, selected, told] = [found, 0, told + 1];
    algorithm = now.algorithm ?? algorithm;
  };
  const isStored = (choices) => Object.entries(choices).every(([name, value]) =>
    name === "algorithm" || name === "target" || String(session.choices[name]) === String(value));
  const commands = {
    step() {
      if (selected + 1 < now.frames.length) selected += 1;
      else return { text: now.end || ENDED, isError: false, isEnd: true };
    },
    select: ({ index }) => void (selected = index),
    restart: () => void (selected = 0),
    choose(choices) {
      if (!isStored(choices)) throw new Error(NOT_STORED);
      const { target = now.target } = choices, wanted = choices.algorithm ?? algorithm;
      const isAimed = now.mode === "walk" && wanted === "corrected"; // the other walks have no target
      if (choices.target && !isAimed) throw new Error(NOT_STORED);
      change({ ...(now.mode === "walk" ? { algorithm: wanted } : {}), target: (isAimed && target) || null });
    },
    show: ({ mode }) => change({ mode, algorithm: mode === "walk" ? algorithm : null, target: null }),
    read({ name }) {
      if (!name) throw new Error(NOT_STORED);
      change({ name: name === FIRST ? names[0] : name, target: null });
    },
    find_words({ part }) {
      const words = session.words[String(now.name)]?.find((each) => each.part === part);
      if (words) model.emit("msg:custom", { words });
    },
  };
  const model = createModel({
    frame: {}, status: {}, busy: false, answered: {},
    menus: { inputs: names.map((name) => name ?? FIRST), models: [] }, ...describe(),
  }, ({ do: command, view, id, ...content }) => {
    if (command === "stop") return; // nothing is computed
    if (command === "send_frames") return model.emit("msg:custom", { frames: now.frames.slice(content.first), from: content.first });
    const before = told;
    let status = { text: "", isError: false };
    try {
      if (!commands[command]) throw new Error(NOT_STORED);
      status = commands[command](content) ?? status;
    } catch (error) {
      status = { text: error.message, isError: true };
    }
    const { setup, ...rest } = describe();
    model.change({ ...(told === before ? {} : { setup }), ...rest, status, answered: { view, id } });
  });
  showView("walker", model, place);
}

// session: {setup, pulls: [[frame, ...] along each direction, from the shortest length to the longest]}
function playDirections({ setup, pulls }, place) {
  const model = createModel({ setup, pulled: {}, status: {}, answered: {} }, ({ do: command, index, length, view, id }) => {
    if (command !== "pull") model.change({ status: { text: NOT_STORED, isError: true } });
    else {
      const middle = (pulls[index].length - 1) / 2, pulled = pulls[index][middle + Math.round((length / setup.length) * middle)];
      model.change({ status: {}, pulled, answered: { view, id } });
    }
  });
  showView("directions", model, place);
}

players.walker = playWalker;
players.directions = playDirections;
