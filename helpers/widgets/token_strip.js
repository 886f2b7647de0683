// A sentence of tokens to choose, on grounds as dark as they matter.
import { buildOnce, make, makeChoosable } from "./dom.js";
import { changeChoice } from "./patch_grid.js";

const TOKEN_FONT = 14; // pixels

// state: {tokens, changed: indices, importance: shares or null, movable: indices, selected: indices, label, isFixed}
// event: tm-choose, with {parts, isLast}
export function drawTokenStrip(element, state) {
  const { tokens, movable, isFixed } = state;
  element.tmState = state;
  const key = `${tokens.length} ${movable} ${isFixed}`;
  const content = buildOnce(element, key, () => buildTokenStrip(element, tokens.length, new Set(movable), isFixed));
  content.strip.setAttribute("aria-label", state.label ?? "tokens of the sentence");
  const changed = new Set(state.changed ?? []), selected = new Set(state.selected ?? []);
  content.cells.forEach((cell, index) => {
    if (cell.textContent !== tokens[index]) cell.textContent = tokens[index];
    cell.classList.toggle("tm-changed", changed.has(index));
    cell.title = changed.has(index) ? `now reads ${tokens[index]}` : "";
    cell.style.setProperty("--tm-share", `${Math.round(100 * (state.importance?.[index] ?? 0))}%`);
    if (!isFixed && !cell.disabled) cell.setAttribute("aria-pressed", String(selected.has(index)));
    fitToken(cell);
  });
  content.strip.classList.toggle("tm-some", selected.size > 0);
}

// A longer word is set smaller in the place of the one before it, so that nothing moves while one steps.
function fitToken(cell) {
  cell.style.fontSize = "";
  if (!cell.isConnected || !cell.style.width) return;
  const share = cell.clientWidth / cell.scrollWidth;
  if (share < 1) cell.style.fontSize = `${Math.max(9, Math.floor(TOKEN_FONT * share))}px`;
}

function buildTokenStrip(element, count, movable, isFixed) {
  const cells = Array.from({ length: count }, (_, index) => {
    if (isFixed) return make("span", { class: "tm-token" });
    return make("button", { type: "button", class: "tm-token", disabled: !movable.has(index) });
  });
  const strip = make("div", { class: "tm-token-strip", role: "group" }, ...cells);
  element.append(strip);
  if (!isFixed) {
    makeChoosable(strip, cells, {
      columns: 1,
      isChosen: (index) => (element.tmState.selected ?? []).includes(index),
      choose: (index, on, isLast) => changeChoice(element, index, on, isLast),
    });
  }
  const sizeObserver = new ResizeObserver(() => {
    if (!strip.offsetWidth) return; // not in the page yet
    for (const cell of cells) cell.style.width = `${Math.ceil(cell.getBoundingClientRect().width)}px`;
    sizeObserver.disconnect();
  });
  sizeObserver.observe(strip);
  return { strip, cells };
}
