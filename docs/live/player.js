// A player shows several walks at one travel: the travel that has been played, or that the slider chooses.
//
// createPlayer(live, view, name, {begin, show, expected}) takes what the parts of the page share (see page.js), the
// panel with its controls, and the name of its button. begin() returns the questions to the engine, one per walk.
// show(at, length, walks, done) shows the walks at a travel and returns a text; done is null until all have ended, then
// {seconds}. expected() is the travel that is expected, which sets the pace. Returns {run, stop}.
function createPlayer(live, view, name, { begin, show, expected }) {
  const PLAY_SECONDS = 4; // of a walk that is played from its start to its end
  const play = findOne(".play", view), slider = findOne(".at", view);
  let walks = [], at = 0, playing = false, before = 0, began = 0, seconds = 0, turn = 0;
  const reached = () => Math.min(length(), ...walks.map((walk) => (walk.reason ? Infinity : walk.travel)));
  const length = () => Math.max(1e-9, ...walks.map((walk) => walk.travel));
  const ended = () => walks.length > 0 && walks.every((walk) => walk.reason);

  function start(question) {
    const walk = { steps: [], travel: 0, reason: null };
    walk.job = live.engine.walk(question, (steps) => {
      walk.steps.push(...steps);
      walk.travel = steps.at(-1).travel;
    });
    walk.job.ended.then(
      (reason) => {
        walk.reason = reason;
        if (ended()) seconds = (performance.now() - began) / 1000;
      },
      (error) => {
        stop();
        live.fail(error);
      },
    );
    return walk;
  }
  function stop() {
    walks.forEach((walk) => walk.job.stop());
    [walks, at] = [[], 0];
    setPlaying(false);
  }
  function restart() {
    stop();
    live.speak("");
    began = performance.now();
    walks = begin().map(start);
  }
  function frame(now, mine) {
    if (!playing || mine !== turn) return;
    const pace = (ended() ? length() : Math.max(length(), expected())) / PLAY_SECONDS;
    at = Math.min(at + Math.min(0.1, (now - before) / 1000) * pace, reached());
    before = now;
    const text = draw();
    if (ended() && at >= length()) {
      setPlaying(false);
      live.speak(text);
    } else requestAnimationFrame((next) => frame(next, mine));
  }
  function draw() {
    for (const walk of walks)
      walk.shown = walk.steps.findLast((step) => step.travel <= at * (1 + 1e-9)) ?? walk.steps[0];
    slider.value = Math.round((1000 * at) / length());
    slider.setAttribute("aria-valuetext", `travel ${at.toFixed(1)} of ${length().toFixed(1)}`);
    if (!walks.length || !walks.every((walk) => walk.shown)) return "";
    const text = show(at, length(), walks, ended() && at >= length() ? { seconds } : null);
    live.show(text);
    return text;
  }
  function setPlaying(value) {
    playing = value;
    turn++;
    play.textContent = playing ? "Pause" : at === 0 ? name : at < length() ? "Go on" : `${name} again`;
    if (!playing) return;
    before = performance.now();
    requestAnimationFrame((now) => frame(now, turn));
  }
  function run() {
    restart();
    setPlaying(true);
  }
  play.addEventListener("click", () => {
    if (playing) setPlaying(false);
    else if (!walks.length || (ended() && at >= length())) run();
    else setPlaying(true);
  });
  slider.addEventListener("input", () => {
    at = Math.min((slider.value / 1000) * length(), reached());
    draw();
    setPlaying(false);
  });
  return { run, stop };
}
