// A plane with level curves, two walks over it, and how far each has drifted. A click or Enter sets the start.
const SIZE = 340, LEFT = 30, BOTTOM = 24; // pixels: the map, and what its tick labels need
const WALKS = ["naive", "corrected"];
const LOWEST = -16; // decimal exponent of the drift at which the bars begin; they end at 1

function add(parent, name, attributes = {}) {
  const element = document.createElementNS(parent.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

function render({ model, el }) {
  const frame = document.createElement("div");
  frame.className = "tm-plane";
  el.append(frame);
  frame.innerHTML = `<svg width="${SIZE + LEFT}" height="${SIZE + BOTTOM}"></svg>`;
  const sheet = frame.firstElementChild;
  const map = add(sheet, "svg", { x: LEFT, y: 0, width: SIZE, height: SIZE, class: "tm-map", tabindex: 0 });
  map.setAttribute("role", "application");
  map.setAttribute("aria-roledescription", "map to choose a point of");
  map.dataset.lmSuppressShortcuts = "true"; // the notebook would take the arrow keys
  add(map, "rect", { width: SIZE, height: SIZE, class: "tm-ground" });
  const contours = add(map, "path", { class: "tm-contours" });
  const level = add(map, "path", { class: "tm-level" });
  const lines = {}, dots = {}, ends = {};
  for (const walk of WALKS) lines[walk] = add(map, "path", { class: `tm-line tm-${walk}` });
  for (const walk of WALKS) dots[walk] = add(map, "path", { class: `tm-dots tm-${walk}` });
  for (const walk of WALKS) ends[walk] = add(map, "rect", { width: 9, height: 9, class: `tm-end tm-${walk}` });
  const start = add(map, "circle", { r: 5, class: "tm-start" });
  const cross = add(map, "path", { class: "tm-cross" });

  const side = document.createElement("div");
  side.className = "tm-side";
  side.innerHTML =
    '<div class="tm-where" role="status"></div><div class="tm-heading">how far the output has drifted</div>' +
    '<div role="list" aria-label="drift of each walk"></div>' +
    '<div class="tm-scale"><span>1e-16</span><span>1e-8</span><span>1</span></div>';
  frame.append(side);
  const where = side.querySelector(".tm-where"), list = side.querySelector("[role=list]");
  const rows = WALKS.map((walk) => {
    const row = document.createElement("div");
    row.setAttribute("role", "listitem");
    row.className = `tm-${walk}`;
    row.innerHTML =
      '<span class="tm-name"></span><span class="tm-track"><span class="tm-bar"></span></span>' +
      '<span class="tm-value"></span>';
    row.querySelector(".tm-name").textContent = walk;
    list.append(row);
    return row;
  });

  const span = () => model.get("span");
  const toX = (x) => ((x / span() + 1) * SIZE) / 2;
  const toY = (y) => ((1 - y / span()) * SIZE) / 2;
  const spell = (points) => points.map(([x, y]) => `${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`);
  const trace = (points) => (points.length ? `M${spell(points).join("L")}` : "");

  const showContours = () => {
    contours.setAttribute("d", model.get("contours").map(trace).join(""));
    level.setAttribute("d", model.get("level").map(trace).join(""));
    sheet.querySelectorAll("text").forEach((text) => text.remove());
    for (const share of [-1, -0.5, 0, 0.5, 1]) {
      const at = share * span(), shift = -share * 5; // the outer ones stay inside
      add(sheet, "text", { x: LEFT + toX(at) + shift, y: SIZE + 16, "text-anchor": "middle" }).textContent = `${at}`;
      add(sheet, "text", { x: LEFT - 6, y: toY(at) + 4 - shift, "text-anchor": "end" }).textContent = `${at}`;
    }
  };
  const showStart = () => {
    const [x, y] = model.get("start");
    start.setAttribute("cx", toX(x));
    start.setAttribute("cy", toY(y));
    pointAt(x, y);
  };
  const showWalks = () => {
    for (const walk of WALKS) {
      const points = model.get(walk), hasSteps = points.length > 1;
      lines[walk].setAttribute("d", trace(points));
      dots[walk].setAttribute("d", spell(points).map((spot) => `M${spot}h0`).join(""));
      ends[walk].style.display = hasSteps ? "" : "none";
      if (!hasSteps) continue;
      const [x, y] = points[points.length - 1];
      ends[walk].setAttribute("x", toX(x) - 4.5);
      ends[walk].setAttribute("y", toY(y) - 4.5);
    }
  };
  const showDrifts = () => {
    rows.forEach((row, i) => {
      const drift = model.get("drifts")[i] ?? 0;
      const share = drift > 0 ? 1 - Math.log10(drift) / LOWEST : 0;
      row.querySelector(".tm-bar").style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
      row.querySelector(".tm-value").textContent = drift >= 0.001 || drift === 0 ? drift.toFixed(3) : drift.toExponential(0);
    });
  };

  // the cross shows where a click or Enter would start; its position is rounded to a hundredth of the span's decade
  let target = [0, 0];
  const decimals = () => Math.max(0, 2 - Math.floor(Math.log10(span())));
  const pointAt = (x, y) => {
    target = [x, y].map((value) => Number(Math.min(span(), Math.max(-span(), value)).toFixed(decimals())));
    const left = toX(target[0]), top = toY(target[1]);
    cross.setAttribute("d", `M${left - 9} ${top}h18M${left} ${top - 9}v18`);
    where.textContent = `cross at x = ${target[0].toFixed(decimals())}, y = ${target[1].toFixed(decimals())}`;
  };
  const choose = () => {
    model.set("start", [...target]);
    model.save_changes();
  };
  const toPlane = (event) => {
    const box = sheet.getBoundingClientRect(); // the map's own box would count what sticks out of it
    const [right, down] = [event.clientX - box.left - LEFT, event.clientY - box.top];
    pointAt((2 * right / SIZE - 1) * span(), (1 - 2 * down / SIZE) * span());
  };
  map.addEventListener("pointermove", toPlane);
  map.addEventListener("pointerleave", () => pointAt(...model.get("start")));
  map.addEventListener("click", (event) => {
    toPlane(event);
    choose();
  });
  map.addEventListener("keydown", (event) => {
    const step = 10 ** ((event.shiftKey ? 0 : 1) - decimals());
    const move = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (move) pointAt(target[0] + step * move[0], target[1] + step * move[1]);
    else if (event.key === "Enter" || event.key === " ") choose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const showLabel = () => map.setAttribute("aria-label", model.get("label"));
  const showAll = () => {
    showContours();
    showStart();
    showWalks();
  };
  const listeners = {
    "change:span": showAll,
    "change:contours": showContours,
    "change:level": showContours,
    "change:start": showStart,
    "change:naive": showWalks,
    "change:corrected": showWalks,
    "change:drifts": showDrifts,
    "change:label": showLabel,
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  showAll();
  showDrifts();
  showLabel();
  return () => {
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
  };
}

export default { render };
