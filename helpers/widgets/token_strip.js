// A sentence of toggle buttons, one a token, on grounds as dark as they matter.
function render({ model, el }) {
  const strip = document.createElement("div");
  strip.className = "tm-token-strip";
  strip.setAttribute("role", "group");
  el.append(strip);
  let cells = [];

  const show = () => {
    const tokens = model.get("tokens"), fixed = new Set(model.get("fixed"));
    if (cells.length !== tokens.length) build(tokens, fixed);
    const changed = model.get("changed"), shades = model.get("shades"), selected = new Set(model.get("selected"));
    cells.forEach((cell, index) => {
      const shade = shades[index] ?? 0;
      cell.textContent = tokens[index];
      cell.classList.toggle("tm-changed", Boolean(changed[index]));
      cell.classList.toggle("tm-dark", shade > 0.6);
      cell.title = changed[index] ? "reads otherwise than at first" : "";
      cell.style.setProperty("--tm-shade", `${Math.round(85 * shade)}%`);
      if (!cell.disabled) cell.setAttribute("aria-pressed", String(selected.has(index)));
    });
  };

  const build = (tokens, fixed) => {
    cells = tokens.map((token, index) => {
      const cell = document.createElement("button");
      cell.type = "button";
      cell.disabled = fixed.has(index);
      cell.dataset.lmSuppressShortcuts = "true"; // Notebook 7 would take the arrow keys
      cell.tabIndex = -1;
      cell.addEventListener("click", () => toggle(index));
      cell.addEventListener("keydown", (event) => move(event, index));
      return cell;
    });
    const first = cells.find((cell) => !cell.disabled);
    if (first) first.tabIndex = 0;
    strip.replaceChildren(...cells);
  };

  const toggle = (index) => {
    const selected = new Set(model.get("selected"));
    if (!selected.delete(index)) selected.add(index);
    model.set("selected", [...selected].sort((a, b) => a - b));
    model.save_changes();
    focus(cells[index]);
  };

  const focus = (cell) => {
    cells.forEach((other) => (other.tabIndex = other === cell ? 0 : -1));
    cell.focus({ preventScroll: true });
  };

  const move = (event, index) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    let next = index + step;
    while (cells[next]?.disabled) next += step;
    if (cells[next]) focus(cells[next]);
    event.preventDefault();
    event.stopPropagation();
  };

  const showLabel = () => strip.setAttribute("aria-label", model.get("label"));
  const listeners = {
    "change:tokens": show,
    "change:changed": show,
    "change:shades": show,
    "change:selected": show,
    "change:label": showLabel,
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  showLabel();
  show();
  return () => {
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
  };
}

export default { render };
