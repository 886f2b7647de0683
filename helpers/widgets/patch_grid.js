// An image under a grid of toggle buttons, one a patch.
function render({ model, el }) {
  const frame = document.createElement("div");
  frame.className = "tm-patch-grid";
  frame.setAttribute("role", "grid");
  frame.setAttribute("aria-multiselectable", "true");
  const picture = document.createElement("img");
  picture.alt = "";
  frame.append(picture);
  el.append(frame);

  let address = null;
  const showPicture = () => {
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/png" }));
    picture.src = address;
  };

  const cells = [];
  const build = () => {
    const rows = model.get("rows"), columns = model.get("columns");
    cells.splice(0).forEach((cell) => cell.remove());
    frame.querySelectorAll("[role=row]").forEach((row) => row.remove());
    for (let r = 0; r < rows; r++) {
      const row = document.createElement("div");
      row.setAttribute("role", "row");
      row.setAttribute("aria-label", `row ${r}`);
      row.style.height = `${100 / rows}%`;
      for (let c = 0; c < columns; c++) {
        const cell = document.createElement("button");
        cell.type = "button";
        cell.setAttribute("role", "gridcell");
        cell.setAttribute("aria-label", `patch row ${r}, column ${c}`);
        cell.dataset.lmSuppressShortcuts = "true"; // Notebook 7 would take the arrow keys
        cell.tabIndex = cells.length === 0 ? 0 : -1;
        const index = cells.length;
        cell.addEventListener("click", () => toggle(index));
        cell.addEventListener("keydown", (event) => move(event, index, rows, columns));
        cells.push(cell);
        row.append(cell);
      }
      frame.append(row);
    }
    showSelected();
  };

  const showSelected = () => {
    const selected = new Set(model.get("selected"));
    cells.forEach((cell, index) => cell.setAttribute("aria-selected", String(selected.has(index))));
    frame.classList.toggle("tm-some", selected.size < cells.length); // frames only where there is a choice to show
  };

  const toggle = (index) => {
    const selected = new Set(model.get("selected"));
    if (!selected.delete(index)) selected.add(index);
    model.set("selected", [...selected].sort((a, b) => a - b));
    model.save_changes();
    focus(index);
  };

  const focus = (index) => {
    cells.forEach((cell, i) => (cell.tabIndex = i === index ? 0 : -1));
    cells[index].focus({ preventScroll: true });
  };

  const move = (event, index, rows, columns) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    if (!(event.key in steps)) return;
    const next = index + steps[event.key];
    if (next >= 0 && next < rows * columns) focus(next);
    event.preventDefault();
    event.stopPropagation();
  };

  const showLabel = () => frame.setAttribute("aria-label", model.get("label"));
  const listeners = {
    "change:picture": showPicture,
    "change:selected": showSelected,
    "change:rows": build,
    "change:columns": build,
    "change:label": showLabel,
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  showPicture();
  showLabel();
  build();
  return () => {
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
    if (address) URL.revokeObjectURL(address);
  };
}

export default { render };
