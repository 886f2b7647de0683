// Horizontal bars, one per output, with a mark where the walk began; or numbers only, for values without a range.
function render({ model, el }) {
  const list = document.createElement("div");
  list.className = "tm-bars";
  list.setAttribute("role", "list");
  list.setAttribute("aria-label", model.get("label"));
  el.append(list);
  let rows = [];
  const hasBars = model.get("has_bars");
  list.classList.toggle("tm-numbers", !hasBars);
  const middle = hasBars
    ? '<span class="tm-track"><span class="tm-bar"></span><span class="tm-mark"></span></span>'
    : '<span class="tm-start"></span>';
  const write = (value) => (hasBars ? value.toFixed(3) : String(Number(value.toPrecision(4))));

  const build = () => {
    list.replaceChildren();
    rows = model.get("names").map((name) => {
      const row = document.createElement("div");
      row.setAttribute("role", "listitem");
      row.innerHTML = `<span class="tm-name"></span>${middle}<span class="tm-value"></span>`;
      row.querySelector(".tm-name").textContent = row.querySelector(".tm-name").title = name; // a long one is cut
      list.append(row);
      return row;
    });
    show();
  };

  const show = () => {
    const values = model.get("values"), reference = model.get("reference");
    const largest = values.indexOf(Math.max(...values));
    rows.forEach((row, i) => {
      const value = values[i] ?? 0, before = reference[i] ?? 0;
      row.querySelector(".tm-value").textContent = write(value);
      if (!hasBars) {
        row.querySelector(".tm-start").textContent = `${write(before)} at the start, now`;
        return;
      }
      row.classList.toggle("tm-largest", i === largest);
      row.querySelector(".tm-bar").style.width = `${100 * value}%`;
      row.querySelector(".tm-mark").style.left = `${100 * before}%`;
    });
  };

  model.on("change:names", build);
  model.on("change:values", show);
  model.on("change:reference", show);
  build();
  return () => {
    model.off("change:names", build);
    model.off("change:values", show);
    model.off("change:reference", show);
  };
}

export default { render };
