// Words at their places in the plane, the larger the farther their score is from 0. The pointer or arrow keys tell one.
import { addSvg, callOnce, listenTo, make, makeField, writeNumber } from "./dom.js";

const COUNTS = [10, 20, 40, 70, 100], SIGNS = ["highest", "lowest", "absolute"];
const EDGE = 14, DOT = [3, 7], REACH = 30; // pixels: around all dots, radii of the smallest and largest, how near is near

function render({ model, el }) {
  const makeChoice = (name, options) => {
    const ask = () => model.send({ sign: sign.value, k: Number(count.value) });
    return make("select", { name, on: { change: ask } }, ...options.map((option) => make("option", { value: `${option}` }, `${option}`)));
  };
  const sign = makeChoice("sign", SIGNS), count = makeChoice("count", COUNTS);
  const where = make("div", { class: "tm-where", role: "status" }), note = make("div", { class: "tm-note" });
  const row = make("div", { class: "tm-row" }, makeField("scores", sign), makeField("words", count));
  const frame = make("details", { class: "tm-more tm-words-map" }, make("summary", {}, "map of words"), row, where);
  const sheet = addSvg(frame, "svg", { role: "application", tabindex: 0 });
  sheet.dataset.lmSuppressShortcuts = "true"; // the notebook would take the arrow keys
  frame.append(note);
  el.append(frame);
  let dots = [], at = 0;

  const draw = () => {
    const [names, scores, places] = ["names", "scores", "places"].map((trait) => model.get(trait));
    [sign.value, count.value] = [model.get("sign"), String(model.get("k"))];
    frame.hidden = !names.length;
    sheet.replaceChildren();
    if (!names.length || !frame.open) return;
    const room = [sheet.clientWidth, sheet.clientHeight], far = scores.map(Math.abs);
    const ends = [0, 1].map((axis) => places.map((place) => place[axis])).map((all) => [Math.min(...all), Math.max(...all)]);
    const scale = Math.min(...ends.map(([low, high], axis) => (room[axis] - 2 * EDGE) / (high - low || 1))); // of both axes
    const low = Math.min(...far), span = Math.max(...far) - low || 1;
    dots = names.map((name, i) => {
      const [x, y] = ends.map(([from, to], axis) => room[axis] / 2 + (axis ? -1 : 1) * scale * (places[i][axis] - (from + to) / 2));
      return { name, score: scores[i], x, y, r: DOT[0] + ((DOT[1] - DOT[0]) * (far[i] - low)) / span };
    });
    for (const { score, x, y, r } of dots)
      addSvg(sheet, "rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r, rx: score < 0 ? 0 : r, class: "tm-dot" });
    const taken = dots.map(({ x, y, r }) => ({ x: x - r, y: y - r, width: 2 * r, height: 2 * r }));
    dots.forEach((dot) => writeName(dot, taken));
    const range = `${writeNumber(Math.min(...scores))} to ${writeNumber(Math.max(...scores))}`;
    note.textContent =
      `near words have embeddings that are alike, as far as two principal directions show: ${Math.round(100 * model.get("share"))}% of ` +
      `their spread; larger: farther from 0; squares: below 0; scores from ${range}`;
    sheet.setAttribute("aria-label", `map of ${names.length} words; arrow keys go from one to the next`);
    pointAt(Math.min(at, dots.length - 1));
  };
  // A name stands beside its dot where it hides nothing; else it shows only while the pointer or the keyboard is there.
  const writeName = (dot, taken) => {
    dot.text = addSvg(sheet, "text", { y: dot.y + 4 }, dot.name);
    for (const side of dot.x > sheet.clientWidth / 2 ? [1, -1] : [-1, 1]) {
      dot.text.setAttribute("x", dot.x + side * (dot.r + 6));
      dot.text.setAttribute("text-anchor", side > 0 ? "start" : "end");
      const box = dot.text.getBBox(), meets = (other) => box.x < other.x + other.width && other.x < box.x + box.width &&
        box.y < other.y + other.height && other.y < box.y + box.height;
      if (box.x >= 0 && box.x + box.width <= sheet.clientWidth && !taken.some(meets)) return taken.push(box);
    }
    dot.text.classList.add("tm-out");
  };
  const pointAt = (index) => {
    dots[at]?.text.classList.remove("tm-here");
    const { name, score, x, y, r, text } = dots[(at = index)];
    where.textContent = `${name}: ${writeNumber(score)}, ${at + 1} of ${dots.length}`;
    text.classList.add("tm-here");
    sheet.append(text); // over all others
    sheet.querySelector("circle")?.remove();
    addSvg(sheet, "circle", { cx: x, cy: y, r: r + 3 });
  };
  const pointNear = (event) => {
    const box = sheet.getBoundingClientRect();
    const gaps = dots.map(({ x, y }) => Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y));
    const nearest = gaps.indexOf(Math.min(...gaps));
    if (gaps[nearest] < REACH && nearest !== at) pointAt(nearest);
  };
  for (const event of ["pointermove", "pointerdown"]) sheet.addEventListener(event, pointNear);
  sheet.addEventListener("keydown", (event) => {
    const last = dots.length - 1, [back, on] = [Math.max(0, at - 1), Math.min(last, at + 1)];
    const to = { ArrowRight: on, ArrowDown: on, ArrowLeft: back, ArrowUp: back, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    pointAt(to);
    event.preventDefault();
    event.stopPropagation();
  });

  const plan = callOnce(draw), end = listenTo(model, ["names", "scores", "places", "share", "sign", "k"], plan);
  const observer = new ResizeObserver(plan);
  frame.addEventListener("toggle", plan);
  observer.observe(sheet);
  draw();
  return () => {
    observer.disconnect();
    end();
  };
}

export default { render };
