// Walks through the images that a model tells apart little or not at all: SiMEC, SiMExp, the corrected walk, and a
// random control. They follow the walks of the package helpers.equivalence, in pixels from 0 to 1.
//
// createWalks(model) returns
//   metric(image)             the pullback metric: its eigenvalues and eigenvectors, and a projection onto its kernel
//   simec, simexp, corrected, control
//                             generators (start, options): each step is {point, outputs, size, travel, drift}, the
//                             first one the start, and the value that they return is the reason for the end
//   random(seed)              a source of random numbers
// Drift is the largest change of any log-probability since the start, in nats.
function createWalks(model) {
  const n = model.pixels, k = model.classes;
  const RANK_TOLERANCE = 1e-5; // singular values up to this fraction of the largest count as zero
  const EXCHANGES = 20; // iterations after which a frozen coordinate stays frozen
  const FIRST_STEP = 0.05; // fraction of the start's norm, which counts as 1 at least
  const GROWTH = 1.8; // largest ratio of one step's length to the last one's
  const NOMINAL_CONTRACTION = 0.3; // ratio of the first two residuals of a step that the control aims at
  const SLOW = 0.35; // contraction of a step above which a new Jacobian is taken after it
  const SLOWEST = 0.5; // ratio of two residuals above which a new Jacobian is taken at once
  const MOST_CORRECTIONS = 7; // per Jacobian
  const PREDICTION = 0.3; // longest correction, as a fraction of the step's length
  const SHORTEST = 1e-6; // fraction of the longest step below which no step is tried
  const SMALLEST_PROJECTION = 1e-3; // fraction of a heading's length; a shorter projection counts as zero
  const STATIONARY = 0.045; // the same for the line to a target: a straight step would save a thousandth of it
  const ARRIVED = 1e-3; // fraction of the first distance below which the target counts as reached
  const RANDOM_HEADINGS = 4; // tried where the last direction leads nowhere

  // -- vectors and small matrices
  const dot = (a, b, aAt = 0, bAt = 0, length = b.length) => {
    let sum = 0;
    for (let i = 0; i < length; i++) sum += a[aAt + i] * b[bAt + i];
    return sum;
  };
  const norm = (a) => Math.sqrt(dot(a, a));
  const subtract = (a, b) => a.map((value, i) => value - b[i]);
  const addTimes = (a, factor, b) => a.map((value, i) => value + factor * b[i]);
  const largestChange = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
  const readImage = (image) => {
    if (image.some((value) => !(value >= 0 && value <= 1))) throw new Error("An image has a value outside 0 to 1.");
    return Float64Array.from(image);
  };
  const clamp = (image) => image.map((value) => Math.min(1, Math.max(0, value)));
  const rowsTimes = (rows, vector) => // rows (r x n) times a vector (n)
    Float64Array.from({ length: rows.length / n }, (_, i) => dot(rows, vector, i * n, 0, n));
  const timesRows = (factors, rows) => { // the combination of rows
    const sum = new Float64Array(n);
    factors.forEach((factor, r) => {
      for (let i = 0, at = r * n; i < n; i++) sum[i] += factor * rows[at + i];
    });
    return sum;
  };

  // Eigenvalues, largest first, and eigenvectors of a symmetric matrix (size x size), by Jacobi's rotations.
  function eigen(matrix, size) {
    const a = Float64Array.from(matrix), v = new Float64Array(size * size);
    for (let i = 0; i < size; i++) v[i * size + i] = 1;
    function rotate(array, first, second, stride, c, s) { // two rows or columns
      for (let i = 0; i < size * stride; i += stride) {
        const x = array[first + i], y = array[second + i];
        array[first + i] = c * x - s * y;
        array[second + i] = s * x + c * y;
      }
    }
    for (let sweep = 0, off = 1; sweep < 30 && off; sweep++) {
      off = 0; // how many entries off the diagonal are not negligible
      for (let p = 0; p < size; p++)
        for (let q = p + 1; q < size; q++) {
          const app = a[p * size + p], apq = a[p * size + q], aqq = a[q * size + q];
          if (apq * apq <= 1e-32 * Math.abs(app * aqq)) continue;
          const theta = (aqq - app) / (2 * apq), t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
          const c = 1 / Math.hypot(t, 1), s = t * c;
          rotate(a, p, q, size, c, s);
          rotate(a, p * size, q * size, 1, c, s);
          rotate(v, p * size, q * size, 1, c, s);
          off++;
        }
    }
    const order = [...Array(size).keys()].sort((i, j) => a[j * size + j] - a[i * size + i]);
    return {
      values: order.map((i) => a[i * size + i]),
      vectors: order.map((i) => v.slice(i * size, (i + 1) * size)),
    };
  }

  // The eigenvectors of rows rows^T whose eigenvalue is not zero; free, if given, marks the columns that count.
  function gramEigen(rows, free) {
    const r = rows.length / n, gram = new Float64Array(r * r), columns = free ?? new Uint8Array(n).fill(1);
    for (let i = 0; i < r; i++)
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let c = 0; c < n; c++) if (columns[c]) sum += rows[i * n + c] * rows[j * n + c];
        gram[i * r + j] = gram[j * r + i] = sum;
      }
    const { values, vectors } = eigen(gram, r);
    const rank = values.filter((value) => value > 0 && value > RANK_TOLERANCE ** 2 * values[0]).length;
    return { values: values.slice(0, rank), vectors: vectors.slice(0, rank) };
  }
  // The shortest solution y of (rows rows^T) y = right.
  const solveGram = ({ values, vectors }, right) => {
    const solution = new Float64Array(right.length);
    vectors.forEach((vector, i) => {
      const factor = dot(vector, right) / values[i];
      vector.forEach((value, j) => (solution[j] += factor * value));
    });
    return solution;
  };

  // Random numbers from 0 to 1, and standard normal vectors: the generator "mulberry32".
  function random(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return { uniform, vector: () => Float64Array.from({ length: n }, normal), sign: () => (uniform() < 0.5 ? -1 : 1) };
  }

  // -- the pullback metric, kept as a factor
  const identity = Float64Array.from({ length: k * k }, (_, i) => (i % (k + 1) ? 0 : 1));
  const jacobian = (image) => model.pullBack(image, identity);

  function metric(image) {
    const rows = jacobian(image), { values, vectors } = gramEigen(rows);
    const project = (heading) => { // onto the kernel; twice, against round-off
      const once = subtract(heading, timesRows(solveGram({ values, vectors }, rowsTimes(rows, heading)), rows));
      return subtract(once, timesRows(solveGram({ values, vectors }, rowsTimes(rows, once)), rows));
    };
    const eigenvector = (index) => timesRows(vectors[index].map((value) => value / Math.sqrt(values[index])), rows);
    return { rank: values.length, eigenvalues: values, eigenvector, project };
  }

  // -- walks without corrections
  function* uncorrected(nextMove, start, { steps = Infinity, travel = Infinity }) {
    let point = readImage(start), outputs = model.outputs(point), travelled = 0;
    const held = outputs;
    yield { point, outputs, size: 0, travel: 0, drift: 0 };
    for (let step = 0; step < steps; step++) {
      const move = nextMove(point);
      if (typeof move === "string") return move;
      const next = clamp(addTimes(point, 1, move)), size = norm(subtract(next, point));
      if (size === 0) return "the box stops the step";
      point = next;
      outputs = model.outputs(point);
      travelled += size;
      yield { point, outputs, size, travel: travelled, drift: largestChange(outputs, held) };
      if (travelled >= travel) return "travel reached";
    }
    return "all steps made";
  }

  // The paper's step: eta times the root of the smallest non-zero eigenvalue over the largest, along a random
  // eigenvector. Source: arXiv 2410.06019, Algorithms 1 and 2.
  const printedMove = (draw, eta) => (point) => {
    const here = metric(point);
    if (here.rank === 0) return "the map is flat here: no output changes";
    const length = eta * Math.sqrt(here.eigenvalues[here.rank - 1] / here.eigenvalues[0]);
    return draw(here).map((value) => length * value);
  };
  function simec(start, { eta = 1, seed = 0, ...limits } = {}) {
    const source = random(seed);
    const draw = (here) => {
      const direction = here.project(source.vector()), size = norm(direction);
      return direction.map((value) => value / size);
    };
    return uncorrected(printedMove(draw, eta), start, limits);
  }
  function simexp(start, { eta = 1, seed = 0, ...limits } = {}) {
    const source = random(seed);
    const draw = (here) => {
      const sign = source.sign(), index = Math.floor(source.uniform() * here.rank);
      return here.eigenvector(index).map((value) => sign * value);
    };
    return uncorrected(printedMove(draw, eta), start, limits);
  }
  // The control of the corrected walk: straight on in a random direction, whatever the outputs do.
  function control(start, { length = 0.1, seed = 0, ...limits } = {}) {
    const heading = random(seed).vector(), factor = length / norm(heading);
    return uncorrected(() => heading.map((value) => factor * value), start, limits);
  }

  // -- the corrected walk
  // Project a heading onto the kernel of the rows, inside the box: coordinates on a bound that they would cross are
  // frozen, and the others solve again. Returns the direction, zero in frozen coordinates.
  function projectInBox(rows, heading, point) {
    let frozen = new Uint8Array(n);
    for (let exchange = 0; ; exchange++) {
      const free = frozen.map((value) => 1 - value), gram = gramEigen(rows, free);
      const masked = heading.map((value, i) => value * free[i]);
      const push = subtract(heading, timesRows(solveGram(gram, rowsTimes(rows, masked)), rows));
      const blocked = Uint8Array.from(push, (value, i) =>
        (point[i] <= 0 && value < 0) || (point[i] >= 1 && value > 0) || (exchange >= EXCHANGES && frozen[i]) ? 1 : 0);
      if (blocked.every((value, i) => value === frozen[i])) {
        const once = push.map((value, i) => value * free[i]); // again, against round-off
        const rest = timesRows(solveGram(gram, rowsTimes(rows, once)), rows);
        return once.map((value, i) => value - rest[i] * free[i]);
      }
      frozen = blocked;
    }
  }

  class StepRefused extends Error {}

  // A walk on which every output is held within a tolerance at every point: a step along the kernel, then quasi-Newton
  // corrections with a Jacobian that Broyden's formula updates after every evaluation. The length of the steps adapts.
  // With a target, each step heads for it; otherwise the walk goes straight on in a random direction.
  // Source: Allgower and Georg, Numerical Continuation Methods, 1990, chapters 6 and 7.
  function* corrected(start, { target, tolerance = 1e-4, longestStep = 0.5, travel = Infinity, seed = 0 } = {}) {
    if (!(tolerance > 0)) throw new Error(`The tolerance is ${tolerance}; it must be a positive number.`);
    let point = readImage(start), travelled = 0, tangent = null;
    const held = model.outputs(point), source = random(seed);
    const firstDistance = target ? norm(subtract(readImage(target), point)) : 0;
    const scale = Math.max(1, norm(point)), longest = longestStep * Math.max(scale, firstDistance);
    let length = Math.min(longest, FIRST_STEP * scale);
    let basis, rows, fresh; // of the image's tangent space; the Jacobian in it; whether it is exact here
    let before = null; // the residual at the present point
    yield { point, outputs: held, size: 0, travel: 0, drift: 0 };

    function residualAt(image) {
      const outputs = model.outputs(image), difference = subtract(outputs, held);
      const values = Float64Array.from(basis, (vector) => dot(vector, difference));
      return { outputs, values, error: largestChange(outputs, held) };
    }
    function takeJacobian(image) {
      if (!basis) {
        basis = gramEigen(jacobian(image)).vectors;
        before = residualAt(point).values;
      }
      rows = model.pullBack(image, Float64Array.from(basis.flatMap((row) => [...row])));
      fresh = true;
    }
    function update(move, change) { // so that the move explains the change of the residual: Broyden's formula
      const square = dot(move, move), expected = rowsTimes(rows, move);
      if (square === 0) return;
      for (let r = 0; r < basis.length; r++) {
        const factor = (change[r] - expected[r]) / square;
        for (let i = 0, at = r * n; i < n; i++) rows[at + i] += factor * move[i];
      }
    }
    function* headings() {
      if (target) yield subtract(target, point);
      if (target) return;
      if (tangent) yield tangent;
      for (let attempt = 0; attempt < RANDOM_HEADINGS; attempt++) {
        const heading = source.vector();
        yield heading;
        yield heading.map((value) => -value);
      }
    }
    function chooseDirection() {
      for (const heading of headings()) {
        const direction = projectInBox(rows, heading, point), size = norm(direction);
        if (size > (target ? STATIONARY : SMALLEST_PROJECTION) * norm(heading))
          return { unit: direction.map((value) => value / size), limit: target ? size : Infinity };
      }
      return null;
    }
    // The shortest move of the coordinates inside the box that removes a residual, to first order.
    function correction(image, values) {
      const free = Uint8Array.from(image, (value) => (value > 0 && value < 1 ? 1 : 0));
      const move = timesRows(solveGram(gramEigen(rows, free), values), rows);
      return move.map((value, i) => -value * free[i]);
    }
    function moveBack(predicted, size) {
      let image = predicted, residual = residualAt(image), contraction = 0, mayRefresh = !fresh;
      update(subtract(image, point), subtract(residual.values, before));
      for (let count = 1; residual.error > tolerance; count++) {
        const next = clamp(addTimes(image, 1, correction(image, residual.values)));
        if (!(norm(subtract(next, predicted)) <= PREDICTION * size)) throw new StepRefused();
        const last = residual, step = subtract(next, image);
        image = next;
        residual = residualAt(image);
        update(step, subtract(residual.values, last.values));
        const ratio = norm(residual.values) / norm(last.values);
        if (contraction === 0) contraction = ratio;
        if (residual.error > tolerance && (!(ratio <= SLOWEST) || count === MOST_CORRECTIONS)) {
          if (!mayRefresh) throw new StepRefused();
          takeJacobian(image);
          [mayRefresh, count] = [false, 1];
        }
      }
      return { image, residual, contraction };
    }
    function tryStep(direction, left) {
      const size = Math.min(length, direction.limit, left);
      const trial = moveBack(clamp(addTimes(point, size, direction.unit)), size);
      const closer = !target || norm(subtract(target, trial.image)) < norm(subtract(target, point));
      if (!closer) throw new StepRefused();
      const factor = Math.min(GROWTH, NOMINAL_CONTRACTION / Math.max(trial.contraction, 1e-9));
      if (factor < 1 || size >= 0.5 * length) length = Math.min(longest, Math.max(0.5, factor) * size);
      return trial;
    }

    for (;;) {
      if (target && norm(subtract(target, point)) <= ARRIVED * firstDistance) return "target reached";
      if (travelled >= travel * (1 - 1e-6)) return "travel reached";
      if (!rows) takeJacobian(point);
      const direction = chooseDirection();
      if (!direction && !fresh) {
        rows = null; // an updated Jacobian may be wrong about it
        continue;
      }
      if (!direction) return target ? "no small step leads nearer within the class" : "no null direction inside the box";
      const saved = rows.slice(), wasFresh = fresh;
      try {
        const { image, residual, contraction } = tryStep(direction, travel - travelled);
        const move = subtract(image, point), size = norm(move);
        if (size === 0) return "the box stops the step";
        [point, tangent, travelled, before] = [image, move, travelled + size, residual.values];
        if (contraction > SLOW) rows = null;
        fresh = false;
        yield { point, outputs: residual.outputs, size, travel: travelled, drift: residual.error };
      } catch (error) {
        if (!(error instanceof StepRefused)) throw error;
        length = Math.min(length, direction.limit) / 2;
        if (length < SHORTEST * longest) return "the tolerance cannot be held";
        [rows, fresh] = wasFresh ? [saved, true] : [null, false];
      }
    }
  }

  return { metric, simec, simexp, corrected, control, random };
}
