// A bar for each output, with a mark where the input itself had it; or numbers only, for values without a range.
import { algorithmColour, buildOnce, make, writeNumber } from "./dom.js";

const FEWEST_DECADES = 5; // of probabilities on a logarithmic axis

// The power of ten at which the logarithmic axis begins: a little below the smallest probability of the start.
export function findLowestPower(start) {
  return Math.min(-FEWEST_DECADES, ...start.map((value) => Math.floor(value / Math.LN10 - 0.4)));
}

// state: {names, values, start: values, isLogarithmic, isLinear, label, isSmall, walks: [{name, values}]}
// Values are log-probabilities where isLogarithmic; they are written as probabilities, and isLinear says on which axis.
// With walks there is a thin bar for each, in its colour, instead of one.
export function drawOutputBars(element, state) {
  const { names, values, start, isLogarithmic, isLinear, isSmall, walks } = state;
  const colours = walks ? walks.map(({ name }) => algorithmColour(name)) : [""];
  const key = JSON.stringify([names, isLogarithmic, isSmall, colours]);
  const rows = buildOnce(element, key, () => buildOutputBars(element, names, { isLogarithmic, isSmall, colours }));
  element.firstChild.setAttribute("aria-label", state.label ?? "outputs of the model");
  const lowest = findLowestPower(start) * Math.LN10;
  const share = (value) => (isLinear ? Math.exp(value) : 1 - Math.max(value, lowest) / lowest);
  const place = (value) => `${100 * Math.min(1, Math.max(0, share(value)))}%`;
  const write = (value) => writeNumber(isLogarithmic ? Math.exp(value) : value);
  const largest = values.indexOf(Math.max(...values));
  rows.forEach(({ row, bars, mark, value, first }, i) => {
    row.classList.toggle("tm-predicted", i === largest);
    if (value) value.textContent = write(values[i]);
    row.title = isLogarithmic
      ? `${names[i]}: ${write(values[i])}, log-probability ${writeNumber(values[i], 4)} nats; at the start ${write(start[i])}, ${writeNumber(start[i], 4)} nats`
      : names[i];
    if (!isLogarithmic) first.textContent = `${write(start[i])} at the start, now`;
    else {
      bars.forEach((bar, j) => (bar.style.width = place((walks ? walks[j].values : values)[i])));
      mark.style.left = place(start[i]);
    }
  });
}

function buildOutputBars(element, names, { isLogarithmic, isSmall, colours }) {
  const list = make("div", { class: `tm-outputs${isLogarithmic ? "" : " tm-numbers"}${isSmall ? " tm-small" : ""}`, role: "list" });
  element.append(list);
  return names.map((name) => {
    const mark = make("span", { class: "tm-mark" }), share = 100 / colours.length;
    const bars = colours.map((colour, j) => {
      const bar = make("span", { class: "tm-bar" });
      if (colour) Object.assign(bar.style, { background: colour, top: `${j * share}%`, bottom: `${100 - (j + 1) * share}%` });
      return bar;
    });
    const middle = isLogarithmic ? make("span", { class: "tm-track" }, ...bars, mark) : make("span", { class: "tm-start" });
    const value = isSmall ? null : make("span", { class: "tm-value" });
    const row = make("div", { class: "tm-bar-row", role: "listitem" }, make("span", { class: "tm-name" }, name), middle, ...(value ? [value] : []));
    list.append(row);
    return { row, bars, mark, value, first: middle };
  });
}
