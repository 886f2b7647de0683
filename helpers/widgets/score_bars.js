// Bars of scores with a mark at the score of a random parameter, under a title and a legend.
import { callOnce, writeNumber } from "./dom.js";

function render({ model, el }) {
  const frame = document.createElement("div");
  frame.className = "tm-scores";
  frame.innerHTML =
    '<div class="tm-title"></div><div role="list"></div>' +
    '<div class="tm-note tm-unit"></div><div class="tm-note"><span class="tm-sample"></span><span class="tm-control"></span></div>';
  el.append(frame);
  const part = (name) => frame.querySelector(name);

  const show = () => {
    part(".tm-title").textContent = model.get("title");
    part(".tm-unit").textContent = model.get("unit");
    part(".tm-control").textContent = model.get("control_name");
    part("[role=list]").setAttribute("aria-label", model.get("title"));
    frame.querySelectorAll(".tm-note").forEach((note) => (note.hidden = !note.textContent || !model.get("names").length));
    const scores = model.get("scores"), control = model.get("control"), longest = model.get("longest");
    const share = (score) => `${100 * Math.min(1, Math.max(0, (model.get("sign") * score) / longest))}%`;
    const rows = model.get("names").map((name, i) => {
      const row = document.createElement("div");
      row.setAttribute("role", "listitem");
      row.innerHTML =
        '<span class="tm-name"></span><span class="tm-track"><span class="tm-bar"></span><span class="tm-mark"></span></span>' +
        '<span class="tm-value"></span>';
      row.querySelector(".tm-name").textContent = row.querySelector(".tm-name").title = name; // a long one is cut
      row.querySelector(".tm-bar").style.width = share(scores[i]);
      row.querySelector(".tm-mark").style.left = share(control[i]);
      row.querySelector(".tm-value").textContent = writeNumber(scores[i]);
      row.querySelector(".tm-track").title = `${writeNumber(scores[i])}; a random parameter's: ${writeNumber(control[i])}`;
      return row;
    });
    part("[role=list]").replaceChildren(...rows);
  };

  const traits = ["title", "unit", "control_name", "names", "scores", "control", "longest", "sign"];
  const plan = callOnce(show);
  for (const trait of traits) model.on(`change:${trait}`, plan);
  show();
  return () => {
    for (const trait of traits) model.off(`change:${trait}`, plan);
  };
}

export default { render };
