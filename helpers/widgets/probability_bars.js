// Horizontal bars, one a class, with a mark where the walk began.
function render({ model, el }) {
  const list = document.createElement("div");
  list.className = "tm-bars";
  list.setAttribute("role", "list");
  list.setAttribute("aria-label", model.get("label"));
  el.append(list);
  let rows = [];

  const build = () => {
    list.replaceChildren();
    rows = model.get("names").map((name) => {
      const row = document.createElement("div");
      row.setAttribute("role", "listitem");
      row.innerHTML =
        '<span class="tm-name"></span><span class="tm-track"><span class="tm-bar"></span>' +
        '<span class="tm-mark"></span></span><span class="tm-value"></span>';
      row.querySelector(".tm-name").textContent = name;
      list.append(row);
      return row;
    });
    show();
  };

  const show = () => {
    const values = model.get("values"), reference = model.get("reference");
    const largest = values.indexOf(Math.max(...values));
    rows.forEach((row, i) => {
      const value = values[i] ?? 0;
      row.classList.toggle("tm-largest", i === largest);
      row.querySelector(".tm-bar").style.width = `${100 * value}%`;
      row.querySelector(".tm-mark").style.left = `${100 * (reference[i] ?? 0)}%`;
      row.querySelector(".tm-value").textContent = value.toFixed(3);
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
