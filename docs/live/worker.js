// The engine in a worker, so that the page stays quick while it computes.
//
// startEngine(data) starts it with what docs/live.py writes of a model, and returns
//   ready                     a promise that the model is read
//   ask(kind, question)       a promise of the answer; kinds are "outputs", "along" and "metric", see serve below
//   walk(question, onSteps)   a walk: onSteps gets its steps as they are made; returns {stop, ended}, where ended is a
//                             promise of the reason for the end
// The worker is made of the text of the functions below and in the other files. No file has to be fetched, so that it
// works on a page that was opened from disk.
function startEngine(data) {
  const sources = [createProduct, createModel, readModel, createWalks, serve].map(String);
  const address = URL.createObjectURL(new Blob([sources.join("\n"), "\nserve(self);"], { type: "text/javascript" }));
  const worker = new Worker(address), waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data: { id, steps, answer, error } }) => {
    const { resolve, reject, onSteps } = waiting.get(id) ?? {};
    if (!resolve) return; // stopped before
    if (steps) return onSteps(steps);
    waiting.delete(id);
    return error ? reject(new Error(error)) : resolve(answer);
  };
  const post = (kind, question, onSteps) => {
    const id = ++last, ended = new Promise((resolve, reject) => waiting.set(id, { resolve, reject, onSteps }));
    worker.postMessage({ id, kind, question });
    return { id, ended };
  };
  return {
    ready: post("start", data).ended,
    ask: (kind, question) => post(kind, question).ended,
    walk(question, onSteps) {
      const { id, ended } = post("walk", question, onSteps);
      const stop = () => waiting.delete(id) && worker.postMessage({ kind: "stop", question: id });
      return { stop, ended };
    },
  };
}

// What runs in the worker; scope is its global object.
function serve(scope) {
  const SLICE = 12; // milliseconds of work between two looks at new messages
  const running = new Map(); // walks by their id
  const { port1, port2 } = new MessageChannel(); // a message to itself, to go on after other messages
  let model, walks, scheduled = false;

  const norm = (a) => Math.sqrt(a.reduce((sum, value) => sum + value * value, 0));
  const mix = (a, factor, b) => a.map((value, i) => value + factor * b[i]);
  const unit = (a) => a.map((value) => value / (norm(a) || 1));
  const drift = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

  const answers = {
    start(data) {
      model = createModel(...readModel(data), createProduct);
      walks = createWalks(model);
    },
    outputs: ({ image }) => model.outputs(Float64Array.from(image)),
    // The outputs at image + length direction, for several lengths.
    along({ image, direction, lengths }) {
      return lengths.map((length) => model.outputs(mix(Float64Array.from(image), length, direction)));
    },
    // Unit directions at an image: all eigenvectors, and the parts in the kernel of the line to a target and of noise.
    metric({ image, target, seed }) {
      const point = Float64Array.from(image), here = walks.metric(point), noise = walks.random(seed).vector();
      return {
        eigenvalues: here.eigenvalues,
        eigenvectors: here.eigenvalues.map((_, i) => here.eigenvector(i)),
        towards: unit(here.project(mix(Float64Array.from(target), -1, point))),
        noise: unit(here.project(noise)),
      };
    },
    stop: (id) => running.delete(id),
  };

  // The straight line to the target, as a control: its point that is as near to the target as a step of the walk.
  function lineControl({ start, options: { target } }) {
    const first = Float64Array.from(start), line = mix(Float64Array.from(target), -1, first);
    const held = model.outputs(first);
    return (step) => {
      const share = 1 - norm(mix(step.point, -1, target)) / (norm(line) || 1);
      const point = mix(first, Math.max(0, share), line), outputs = model.outputs(point);
      return { ...step, share, line: { point: Float32Array.from(point), outputs, drift: drift(outputs, held) } };
    };
  }

  function begin(id, question) {
    const addLine = question.options.target ? lineControl(question) : (step) => step;
    running.set(id, { walk: walks[question.algorithm](question.start, question.options), addLine, travel: 0 });
    schedule();
  }
  function schedule() {
    if (!scheduled) port2.postMessage(0);
    scheduled = true;
  }
  // Make steps for a while, always of the walk that has travelled least, so that a race is fair.
  function work() {
    const until = performance.now() + SLICE, made = new Map();
    scheduled = false;
    while (running.size && performance.now() < until) {
      const [id, job] = [...running].reduce((a, b) => (b[1].travel < a[1].travel ? b : a));
      try {
        const { value, done } = job.walk.next();
        if (done) {
          send(id, made);
          running.delete(id);
          scope.postMessage({ id, answer: value });
          continue;
        }
        job.travel = value.travel;
        if (!made.has(id)) made.set(id, []);
        made.get(id).push({ ...job.addLine(value), point: Float32Array.from(value.point) });
      } catch (error) {
        running.delete(id);
        scope.postMessage({ id, error: error.message });
      }
    }
    for (const id of made.keys()) send(id, made);
    if (running.size) schedule();
  }
  function send(id, made) {
    if (made.get(id)?.length) scope.postMessage({ id, steps: made.get(id) });
    made.delete(id);
  }

  port1.onmessage = work;
  scope.onmessage = ({ data: { id, kind, question } }) => {
    try {
      if (kind === "walk") begin(id, question);
      else scope.postMessage({ id, answer: answers[kind](question) });
    } catch (error) {
      scope.postMessage({ id, error: error.message });
    }
  };
}
