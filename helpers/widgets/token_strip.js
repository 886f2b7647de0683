// A sentence of toggle buttons, one a token, on grounds as dark as they matter.
const FONT = 14; // pixels

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
      cell.title = changed[index] ? `now reads ${tokens[index]}` : tokens[index]; // a long word may be cut
      fit(cell);
      cell.style.setProperty("--tm-share", `${Math.round(100 * shade)}%`);
      if (!cell.disabled) cell.setAttribute("aria-pressed", String(selected.has(index)));
    });
  };

  // a longer word is set smaller in the place of the one before it, so that nothing moves while one steps
  const fit = (cell) => {
    cell.style.fontSize = "";
    if (!cell.isConnected || !cell.style.width) return;
    const share = cell.clientWidth / cell.scrollWidth;
    if (share < 1) cell.style.fontSize = `${Math.max(9, Math.floor(FONT * share))}px`;
  };
  const sizeObserver = new ResizeObserver(() => {
    if (!strip.offsetWidth) return; // not in the page yet
    for (const cell of cells) cell.style.width = `${Math.ceil(cell.getBoundingClientRect().width)}px`;
    sizeObserver.disconnect();
  });

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
    sizeObserver.observe(strip);
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
    sizeObserver.disconnect();
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
  };
}

export default { render };
