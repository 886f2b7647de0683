// A cell per parameter, a block of cells per layer. A click or Enter opens one; the page asks for what is not computed.
import { callOnce, listenTo, writeNumber, writeTick } from "./dom.js";

const GUTTER = 26, TOP = 3, GAP = 6, HEIGHT = 300; // pixels: layer numbers, above the first layer, between layers, wanted of the whole map
const SMALLEST = 4, LARGEST = 26; // pixels: side of a cell
const SHADES = 254; // a byte is 0 for what is not computed, else 1 more than its shade

function render({ model, el }) {
  const frame = document.createElement("div");
  frame.className = "tm-map-frame";
  frame.innerHTML =
    '<div class="tm-heading"><div class="tm-where" role="status"></div>' +
    '<progress aria-label="share of the map that is computed"></progress><button type="button" class="tm-button"></button></div>' +
    '<div class="tm-scroll"><div class="tm-cells" role="application" tabindex="0"><canvas aria-hidden="true"></canvas>' +
    '<div class="tm-shown"></div><div class="tm-cursor"></div></div></div>' +
    '<div class="tm-heading"><div class="tm-legend" role="img"><div class="tm-gradient"></div><div class="tm-bar-mark"></div></div>' +
    '<div class="tm-note"></div></div><span class="tm-probe"><span></span></span>';
  el.append(frame);
  const part = (selector) => frame.querySelector(selector);
  const field = part(".tm-cells"), canvas = part("canvas"), scroll = part(".tm-scroll"), probe = part(".tm-probe");
  const button = part("button"), progress = part("progress"), where = part(".tm-where"), legend = part(".tm-legend");
  for (const reached of [field, button]) reached.dataset.lmSuppressShortcuts = "true"; // the notebook would take the keys

  const cells = () => new Uint8Array(model.get("cells").buffer, model.get("cells").byteOffset, model.get("cells").byteLength);
  let size = LARGEST, perLine = 1, block = 1, layers = 0, count = 1, cursor = [...model.get("selected")];
  const measure = () => {
    count = model.get("count");
    layers = model.get("cells").byteLength / count;
    const room = Math.max(60, scroll.clientWidth - GUTTER - 16); // a scroll bar may come
    size = Math.floor(Math.sqrt((room * HEIGHT) / Math.max(1, layers * count)));
    size = Math.min(LARGEST, Math.max(SMALLEST, size));
    perLine = Math.max(1, Math.floor(room / size));
    block = Math.ceil(count / perLine) * size + GAP;
  };
  const spot = ([layer, index]) => [GUTTER + (index % perLine) * size, TOP + layer * block + Math.floor(index / perLine) * size];

  const draw = () => {
    if (!scroll.clientWidth) return; // not in the page yet
    measure();
    const width = GUTTER + perLine * size, height = TOP + layers * block, ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    const pen = canvas.getContext("2d"), bytes = cells(), side = size > 6 ? size - 1 : size;
    const ends = [probe, probe.firstElementChild].map((end) => getComputedStyle(end).color.match(/[\d.]+/g).map(Number));
    const colours = [...Array(SHADES + 1).keys()].map((shade) =>
      `rgb(${[0, 1, 2].map((i) => ends[0][i] + ((ends[1][i] - ends[0][i]) * shade) / SHADES).join(" ")})`);
    pen.scale(ratio, ratio);
    bytes.forEach((byte, i) => {
      const [x, y] = spot([Math.floor(i / count), i % count]);
      pen.fillStyle = colours[Math.max(0, byte - 1)];
      if (byte) pen.fillRect(x, y, side, side);
      else pen.fillRect(x + side / 2 - 1, y + side / 2 - 1, 2, 2); // a dot where nothing is computed
    });
    field.querySelectorAll(".tm-layer").forEach((label) => label.remove());
    for (let layer = 0; layer < layers; layer++) {
      const label = document.createElement("span");
      label.className = "tm-layer";
      label.textContent = layer;
      label.style.top = `${TOP + layer * block}px`;
      field.append(label);
    }
    frame.hidden = !layers;
    putFrames();
  };
  const putFrames = () => {
    for (const [name, place] of [[".tm-shown", model.get("selected")], [".tm-cursor", cursor]]) {
      const [x, y] = spot(place), style = part(name).style;
      [style.left, style.top] = [`${x - 2}px`, `${y - 2}px`];
      [style.width, style.height] = [`${size + 4}px`, `${size + 4}px`];
    }
  };

  const write = (value) => writeNumber(model.get("is_logarithm") ? 10 ** value : value, 2);
  const describe = ([layer, index]) => {
    const byte = cells()[layer * count + index], low = model.get("low"), high = model.get("high");
    const value = byte ? write(low + ((high - low) * (byte - 1)) / SHADES) : "not computed yet";
    return `layer ${layer}, ${model.get("noun")} ${index}: ${model.get("quantity")} ${value}`;
  };
  const share = (value) => {
    const low = model.get("low");
    return `${(100 * ((model.get("is_logarithm") ? Math.log10(value) : value) - low)) / (model.get("high") - low)}%`;
  };
  const pointAt = (place) => {
    cursor = place;
    where.textContent = describe(place);
    part(".tm-bar-mark").style.left = share(model.get("bars")[place[0]]);
    putFrames();
  };
  const showSelected = () => {
    pointAt([...model.get("selected")]);
    const y = spot(cursor)[1];
    if (y < scroll.scrollTop || y + size > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = y - 40;
  };
  const open = () => {
    model.set("selected", [...cursor]);
    model.save_changes();
  };

  const find = (event) => {
    const box = field.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - GUTTER, event.clientY - box.top - TOP];
    const layer = Math.floor(y / block), index = Math.floor((y % block) / size) * perLine + Math.floor(x / size);
    return x >= 0 && y >= 0 && x < perLine * size && layer < layers && y % block < block - GAP && index < count ? [layer, index] : null;
  };
  field.addEventListener("pointermove", (event) => {
    const place = find(event);
    if (place && String(place) !== String(cursor)) pointAt(place);
  });
  field.addEventListener("pointerleave", () => pointAt([...model.get("selected")]));
  field.addEventListener("click", (event) => {
    const place = find(event);
    if (!place) return;
    pointAt(place);
    open();
  });
  field.addEventListener("keydown", (event) => {
    const [layer, index] = cursor, last = count - 1, clip = (i) => Math.min(last, Math.max(0, i));
    const down = index + perLine <= last ? [layer, index + perLine] : [layer + 1, index % perLine];
    const lastLine = Math.floor(last / perLine) * perLine + (index % perLine);
    const up = index >= perLine ? [layer, index - perLine] : [layer - 1, lastLine > last ? lastLine - perLine : lastLine];
    const moves = {
      ArrowRight: [layer, clip(index + 1)], ArrowLeft: [layer, clip(index - 1)], ArrowDown: down, ArrowUp: up,
      PageDown: [layer + 1, index], PageUp: [layer - 1, index], Home: [layer, 0], End: [layer, last],
    };
    if (event.key === "Enter" || event.key === " ") open();
    else if (!(event.key in moves)) return;
    else if (moves[event.key][0] >= 0 && moves[event.key][0] < layers) pointAt([moves[event.key][0], clip(moves[event.key][1])]);
    event.preventDefault();
    event.stopPropagation();
  });

  const advance = () => {
    if (el.isConnected && !model.get("is_stopped") && model.get("done") < model.get("pieces"))
      model.send({ done: model.get("done") });
  };
  button.addEventListener("click", () => {
    model.set("is_stopped", !model.get("is_stopped"));
    model.save_changes();
  });
  const showProgress = () => {
    const isComplete = model.get("done") >= model.get("pieces");
    button.hidden = progress.hidden = isComplete;
    [progress.max, progress.value] = [Math.max(1, model.get("pieces")), model.get("done")];
    button.textContent = model.get("is_stopped") ? "continue the map" : "stop the map";
    advance();
  };

  const showLegend = () => {
    const low = model.get("low"), high = model.get("high"), quantity = model.get("quantity");
    legend.querySelectorAll(".tm-tick").forEach((tick) => tick.remove());
    for (const value of model.get("ticks")) {
      const tick = document.createElement("span");
      tick.className = "tm-tick";
      tick.textContent = writeTick(value);
      tick.style.left = share(value);
      legend.append(tick);
    }
    legend.setAttribute("aria-label", `${quantity}: light is ${write(low)}, strong is ${write(high)}`);
    part(".tm-note").textContent =
      `${quantity} of each ${model.get("noun")}; beyond the mark of its layer: one random ${model.get("noun")} in twenty`;
    field.setAttribute("aria-label", `map of all ${model.get("noun")}s; arrow keys move, Enter opens one`);
  };

  const showCells = () => {
    draw();
    showLegend();
    pointAt(cursor[0] < layers && cursor[1] < count ? cursor : [...model.get("selected")]);
    showProgress();
  };
  const plan = callOnce(showCells);
  const traits = ["cells", "count", "noun", "quantity", "low", "high", "ticks", "bars", "done", "pieces", "is_stopped"];
  const ends = [listenTo(model, traits, plan), listenTo(model, ["selected"], showSelected)];
  probe.addEventListener("transitionend", draw); // the theme has changed
  const sizeObserver = new ResizeObserver(plan);
  sizeObserver.observe(el);
  return () => {
    sizeObserver.disconnect();
    for (const end of ends) end();
  };
}

export default { render };
