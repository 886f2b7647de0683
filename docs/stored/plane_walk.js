// The plane walker, computed in the page: a naive walk and a corrected one along a level curve of a closed form.
import { createModel, showView, NOT_STORED, players } from "./player.js";

const GRID = 81, LEVELS = 12; // points per side of the grid for level curves; how many of these, about
const TOLERANCE = 1e-10, CORRECTIONS = 8, SMALLEST_STEP = 1e-6; // of a corrected step
const LENGTHS = { "short (0.1)": 0.1, "medium (0.3)": 0.3, "long (0.8)": 0.8 };
const HEIGHTS = { // value and gradient, as in helpers/adapters/toy.py
  paraboloid: { f: (x, y) => x * x + y * y, slope: (x, y) => [2 * x, 2 * y] },
  saddle: { f: (x, y) => x * x - y * y, slope: (x, y) => [2 * x, -2 * y] },
  waves: { f: (x, y) => Math.sin(x) + Math.cos(y), slope: (x, y) => [Math.cos(x), -Math.sin(y)] },
};

// A unit vector along the level curve, as nearly as possible in the direction of another one; null where all is level.
function alongLevel({ slope }, point, heading) {
  const [a, b] = slope(...point), size = Math.hypot(a, b);
  if (size < 1e-12) return null;
  const sign = heading[0] * -b + heading[1] * a < 0 ? -1 : 1;
  return [(sign * -b) / size, (sign * a) / size];
}

// One corrected step: straight along the kernel, then back to the level by Newton's method; half as long if that fails.
function stepAlong(surface, point, heading, held, length) {
  const way = alongLevel(surface, point, heading);
  for (let step = length; way && step > SMALLEST_STEP; step /= 2) {
    let [x, y] = [point[0] + step * way[0], point[1] + step * way[1]];
    for (let i = 0; i < CORRECTIONS; i++) {
      const miss = surface.f(x, y) - held, [a, b] = surface.slope(x, y), size = a * a + b * b;
      if (Math.abs(miss) <= TOLERANCE) {
        const move = [x - point[0], y - point[1]], far = Math.hypot(...move);
        if (far > 0.5 * step && far < 1.5 * step) return { point: [x, y], heading: move, length: far };
        break;
      }
      [x, y] = [x - (miss * a) / size, y - (miss * b) / size];
    }
  }
  return null;
}

// Level curves on a grid from -span to span: pieces of straight lines, one for each cell that a level crosses.
function traceLevels(f, span, levels) {
  const at = (i) => -span + (2 * span * i) / (GRID - 1), pieces = [];
  const grid = Array.from({ length: GRID }, (_, j) => Array.from({ length: GRID }, (_, i) => f(at(i), at(j))));
  for (const level of levels)
    for (let j = 0; j + 1 < GRID; j++)
      for (let i = 0; i + 1 < GRID; i++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]], crossed = [];
        corners.forEach(([a, b], c) => {
          const [d, e] = corners[(c + 1) % 4], here = grid[b][a] - level, there = grid[e][d] - level;
          if (here < 0 === there < 0) return;
          const share = here / (here - there);
          crossed.push([at(a + share * (d - a)), at(b + share * (e - b))]);
        });
        for (let k = 0; k + 1 < crossed.length; k += 2) pieces.push([crossed[k], crossed[k + 1]]);
      }
  return pieces;
}

function chooseLevels(f, span) {
  const values = [];
  for (let i = 0; i < GRID; i++) for (let j = 0; j < GRID; j++) values.push(f(...[i, j].map((k) => (2 * k / (GRID - 1) - 1) * span)));
  const low = Math.min(...values), high = Math.max(...values);
  return Array.from({ length: LEVELS }, (_, i) => low + ((i + 0.5) / LEVELS) * (high - low));
}

// session: {setup, choices: {function, start, step_length}, span}
function playPlane({ setup, choices: first, span }, place) {
  let choices = first, points = [], selected = 0;
  const surface = () => HEIGHTS[choices.function], held = () => surface().f(...choices.start);
  const frame = (travel, corrected, naive) => {
    const drift = (point) => Math.abs(surface().f(...point) - held());
    return { travel, corrected: corrected.point, naive: naive.point, drifts: { naive: drift(naive.point), corrected: drift(corrected.point) } };
  };
  const begin = () => {
    const start = { point: choices.start, heading: [0, 1] };
    [points, selected] = [[{ corrected: start, naive: start, frame: frame(0, start, start) }], 0];
  };
  const grow = () => {
    const last = points.at(-1), corrected = stepAlong(surface(), last.corrected.point, last.corrected.heading, held(), LENGTHS[choices.step_length]);
    if (!corrected) return { text: "the walk stopped: no step along the level", isError: false, isEnd: true };
    const way = alongLevel(surface(), last.naive.point, last.naive.heading) ?? [0, 0];
    const naive = { point: last.naive.point.map((value, axis) => value + corrected.length * way[axis]), heading: way };
    points.push({ corrected, naive, frame: frame(last.frame.travel + corrected.length, corrected, naive) });
    selected += 1;
  };
  const commands = {
    step: () => (selected + 1 < points.length ? void (selected += 1) : grow()),
    select: ({ index }) => void (selected = index),
    restart: () => void begin(),
    take_away: () => ({ text: NOT_STORED, isError: true }),
    choose(changes) {
      choices = { ...choices, ...changes };
      begin();
    },
  };
  const trace = () => {
    const { f } = surface();
    return { contours: traceLevels(f, span, chooseLevels(f, span)), level: traceLevels(f, span, [held()]) };
  };
  const describe = () => ({
    place: { count: points.length, selected }, choices,
    frame: { ...points.at(-1).frame, index: points.length - 1 },
  });
  begin();
  let told = 1;
  const model = createModel({ setup, span, status: {}, busy: false, answered: {}, ...trace(), ...describe() },
    ({ do: command, view, id, ...content }) => {
      if (command === "stop") return; // every answer is computed at once
      if (command === "send_frames") return model.emit("msg:custom", { frames: points.slice(content.first).map(({ frame }) => frame), from: content.first });
      const status = commands[command](content) ?? { text: "", isError: false };
      const begun = command === "choose" || command === "restart" ? { setup: { ...setup, serial: (told += 1) }, ...trace() } : {};
      model.change({ ...begun, ...describe(), status, answered: { view, id } });
    });
  showView("walker", model, place);
}

players.plane = playPlane;
