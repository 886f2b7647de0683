// What the page draws with: images, bars of log-probabilities, and a plot of drift on a logarithmic axis.

const findOne = (selector, inside = document) => inside.querySelector(selector);
const findAll = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const argmax = (values) => values.indexOf(Math.max(...values));
const formatPrediction = (outputs) => `${argmax(outputs)} (${formatProbability(Math.max(...outputs))})`;
const formatDrift = (drift) => (drift === 0 ? "0" : drift < 0.1 ? drift.toExponential(0) : drift.toPrecision(2));

// Draw a grey image (values from 0 to 1, cut off beyond) on a canvas of its size.
function drawImage(canvas, image) {
  paint(canvas, image, (value) => {
    const grey = 255 * Math.min(1, Math.max(0, value));
    return [grey, grey, grey];
  });
}

// Draw a signed change: red where it is positive, blue where it is negative, white where it is zero.
function drawChange(canvas, change) {
  const largest = change.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-300);
  paint(canvas, change, (value) => {
    const size = Math.abs(value) / largest, end = value > 0 ? [178, 24, 43] : [33, 102, 172];
    return end.map((channel) => 255 + size * (channel - 255));
  });
}

function paint(canvas, image, colour) {
  const side = Math.sqrt(image.length), pen = canvas.getContext("2d"), data = pen.createImageData(side, side);
  canvas.width = canvas.height = side;
  image.forEach((value, i) => data.data.set([...colour(value), 255], 4 * i));
  pen.putImageData(data, 0, 0);
}

// A probability in few letters.
function formatProbability(logProbability) {
  const value = Math.exp(logProbability);
  return value >= 0.001 ? value.toFixed(3) : value.toExponential(0);
}

// Bars of log-probabilities, one row per class: a thin bar for each of several walks, and a mark at the start's value.
// Returns show(start, outputs), where outputs has one array per walk, or null for none.
function createBars(element, names, colours, LOWEST = -20) {
  const place = (value) => `${100 * Math.min(1, Math.max(0, 1 - value / LOWEST))}%`;
  element.setAttribute("role", "list");
  const rows = names.map((name) => {
    const row = document.createElement("div");
    row.setAttribute("role", "listitem");
    row.className = "bar-row";
    row.innerHTML = '<span class="bar-name"></span><span class="bar-track"></span><span class="bar-value"></span>';
    const [label, track, value] = row.children;
    label.textContent = name;
    const bars = colours.map((colour) => {
      const bar = document.createElement("span");
      bar.className = "bar";
      bar.style.background = `var(${colour})`;
      track.append(bar);
      return bar;
    });
    const mark = document.createElement("span");
    mark.className = "bar-mark";
    track.append(mark);
    element.append(row);
    return { row, bars, mark, value };
  });
  return (start, outputs) => {
    const first = outputs.find(Boolean) ?? start, top = first.indexOf(Math.max(...first));
    rows.forEach(({ row, bars, mark, value }, i) => {
      row.classList.toggle("largest", i === top);
      mark.style.left = place(start[i]);
      value.textContent = formatProbability(first[i]);
      bars.forEach((bar, j) => {
        bar.hidden = !outputs[j];
        if (outputs[j]) bar.style.width = place(outputs[j][i]);
      });
    });
  };
}

// A plot of drift, on a logarithmic axis, over a coordinate. Returns
//   show({series, from, to, tolerance, at})  series: {colour, dash, points: [[x, drift], ...]}; at: where a mark stands
function createPlot(element, { xLabel, formatX = String }) {
  const SVG = "http://www.w3.org/2000/svg", HEIGHT = 190, LEFT = 46, RIGHT = 12, TOP = 12, BOTTOM = 36;
  const LARGEST = 2; // powers of ten
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("height", HEIGHT);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Drift; nothing is walked yet.");
  element.append(svg);
  const make = (kind, attributes, text) => {
    const part = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    if (text !== undefined) part.textContent = text;
    return part;
  };
  const power = (exponent) => `1e${exponent}`;
  let width = 0, shown = null;

  function draw() {
    if (!shown || !width) return;
    const { series, from, to, tolerance, at, label } = shown;
    const lowest = Math.min(-6, Math.floor(Math.log10(tolerance ?? 1)) - 2);
    const x = (value) => LEFT + ((value - from) / (to - from || 1)) * (width - LEFT - RIGHT);
    const y = (drift) => {
      const share = (Math.log10(Math.max(drift, 1e-300)) - lowest) / (LARGEST - lowest);
      return HEIGHT - BOTTOM - Math.min(1, Math.max(0, share)) * (HEIGHT - TOP - BOTTOM);
    };
    svg.setAttribute("width", width);
    svg.setAttribute("aria-label", label);
    svg.replaceChildren();
    for (let exponent = lowest; exponent <= LARGEST; exponent += 2) {
      const height = y(10 ** exponent);
      svg.append(make("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: height, y2: height }));
      svg.append(make("text", { class: "tick", x: LEFT - 6, y: height + 4, "text-anchor": "end" }, power(exponent)));
    }
    for (let i = 0; i <= 4; i++) {
      const value = from + (i / 4) * (to - from), anchor = ["start", "middle", "middle", "middle", "end"][i];
      svg.append(make("text", { class: "tick", x: x(value), y: HEIGHT - 20, "text-anchor": anchor }, formatX(value)));
    }
    const centre = (LEFT + width - RIGHT) / 2;
    svg.append(make("text", { class: "tick", x: centre, y: HEIGHT - 4, "text-anchor": "middle" }, xLabel));
    if (tolerance) {
      svg.append(make("line", { class: "tolerance", x1: LEFT, x2: width - RIGHT, y1: y(tolerance), y2: y(tolerance) }));
      svg.append(make("text", { class: "tick", x: width - RIGHT, y: y(tolerance) - 5, "text-anchor": "end" },
        `tolerance ${power(Math.round(Math.log10(tolerance)))}`));
    }
    for (const { colour, dash, points } of series) {
      const line = points.map(([value, drift]) => `${x(value).toFixed(1)},${y(drift).toFixed(1)}`).join(" ");
      const style = `stroke: var(${colour}); stroke-dasharray: ${dash ?? "none"}`;
      svg.append(make("polyline", { class: "curve", points: line, style }));
    }
    if (at !== undefined)
      svg.append(make("line", { class: "mark", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
  }
  new ResizeObserver(([entry]) => {
    width = Math.floor(entry.contentRect.width);
    draw();
  }).observe(element);
  return (state) => {
    shown = state;
    draw();
  };
}
