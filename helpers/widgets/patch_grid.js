// An image under a grid of patches to choose, above a heat map of their importance.
import { buildOnce, make, makeChoosable, tell, writeNumber } from "./dom.js";

// state: {rows, columns, picture, selected: indices, importance: shares or null, label, isFixed}
// event: tm-choose, with {parts, isLast}
export function drawPatchGrid(element, state) {
  const { rows, columns, isFixed } = state;
  element.tmState = state;
  const content = buildOnce(element, `${rows} ${columns} ${isFixed}`, () => buildPatchGrid(element, rows, columns, isFixed));
  content.grid.setAttribute("aria-label", state.label ?? "patches of the image");
  if (content.image.getAttribute("src") !== state.picture) content.image.src = state.picture;
  const selected = new Set(state.selected ?? []);
  content.cells.forEach((cell, index) => cell.setAttribute("aria-selected", String(selected.has(index))));
  content.grid.classList.toggle("tm-some", selected.size > 0);
  content.heat.hidden = !state.importance;
  content.spots.forEach((spot, index) => {
    const share = state.importance?.[index] ?? 0;
    spot.style.setProperty("--tm-share", `${Math.round(100 * share)}%`);
    spot.title = `importance ${writeNumber(share, 2)} of the largest`;
  });
}

function buildPatchGrid(element, rows, columns, isFixed) {
  const image = make("img", { alt: "", draggable: false });
  const grid = make("div", { class: "tm-patch-grid", role: isFixed ? "img" : "grid" }, image);
  const cells = [];
  for (let r = 0; !isFixed && r < rows; r++) {
    const row = make("div", { role: "row", style: `height: ${100 / rows}%` });
    for (let c = 0; c < columns; c++) {
      const cell = make("button", { type: "button", role: "gridcell", "aria-label": `patch row ${r}, column ${c}` });
      cells.push(cell);
      row.append(cell);
    }
    grid.append(row);
  }
  const spots = Array.from({ length: rows * columns }, () => make("span"));
  const map = make("div", { class: "tm-heat" }, ...spots);
  map.style.setProperty("--tm-columns", columns);
  const heat = make("div", { class: "tm-heat-box", role: "img", "aria-label": "importance of each patch" }, map);
  heat.append(make("span", { class: "tm-caption" }, "importance: how strongly the outputs react to each patch"));
  element.append(grid, heat);
  if (!isFixed) {
    grid.setAttribute("aria-multiselectable", "true");
    makeChoosable(grid, cells, {
      columns,
      isChosen: (index) => (element.tmState.selected ?? []).includes(index),
      choose: (index, on, isLast) => changeChoice(element, index, on, isLast),
    });
  }
  return { image, grid, cells, heat, spots };
}

// Choose a part or leave it, show that at once, and tell of it; without an index only tell that the choice is made.
export function changeChoice(element, index, on, isLast) {
  const parts = new Set(element.tmState.selected ?? []);
  if (on) parts.add(index);
  else if (index !== null) parts.delete(index);
  tell(element, "tm-choose", { parts: [...parts].sort((a, b) => a - b), isLast });
}
