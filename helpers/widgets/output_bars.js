// A bar for each output, with a mark where the input itself had it; or numbers only, for values without a range.
import { buildOnce, make } from "./dom.js";

const SMALLEST_LOG = -12; // nats; a logarithmic bar begins here, or below the smallest output of the start

// state: {names, values, start: values, isLogarithmic, asProbabilities, label, isSmall}
// Values are log-probabilities where isLogarithmic.
export function drawOutputBars(element, state) {
  const { names, values, start, isLogarithmic, asProbabilities, isSmall } = state;
  const key = JSON.stringify([names, isLogarithmic, isSmall]);
  const rows = buildOnce(element, key, () => buildOutputBars(element, names, isLogarithmic, isSmall));
  element.firstChild.setAttribute("aria-label", state.label ?? "outputs of the model");
  const lowest = Math.min(SMALLEST_LOG, ...start.map((value) => Math.floor(value) - 1));
  const share = (value) => (asProbabilities ? Math.exp(value) : 1 - Math.max(value, lowest) / lowest);
  const write = (value) => {
    if (!isLogarithmic) return String(Number(value.toPrecision(4)));
    return asProbabilities ? Math.exp(value).toFixed(3) : value.toFixed(2).replace("-", "−").replace(/^−(0\.00)$/, "$1");
  };
  const largest = values.indexOf(Math.max(...values));
  rows.forEach(({ row, bar, mark, value, first }, i) => {
    row.classList.toggle("tm-largest", i === largest);
    if (value) value.textContent = write(values[i]);
    row.title = isLogarithmic
      ? `${names[i]}: log-probability ${values[i].toFixed(3)}, at the start ${start[i].toFixed(3)}`
      : names[i];
    if (!isLogarithmic) first.textContent = `${write(start[i])} at the start, now`;
    else {
      bar.style.width = `${100 * Math.min(1, Math.max(0, share(values[i])))}%`;
      mark.style.left = `${100 * Math.min(1, Math.max(0, share(start[i])))}%`;
    }
  });
}

function buildOutputBars(element, names, isLogarithmic, isSmall) {
  const list = make("div", { class: `tm-outputs${isLogarithmic ? "" : " tm-numbers"}${isSmall ? " tm-small" : ""}`, role: "list" });
  element.append(list);
  return names.map((name) => {
    const bar = make("span", { class: "tm-bar" }), mark = make("span", { class: "tm-mark" });
    const middle = isLogarithmic ? make("span", { class: "tm-track" }, bar, mark) : make("span", { class: "tm-start" });
    const value = isSmall ? null : make("span", { class: "tm-value" });
    const row = make("div", { role: "listitem" }, make("span", { class: "tm-name" }, name), middle, ...(value ? [value] : []));
    list.append(row);
    return { row, bar, mark, value, first: middle };
  });
}
