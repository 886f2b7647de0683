// Bars of scores with a mark at the score of a random parameter, under a title and a legend.
import { callOnce, listenTo, make, writeNumber } from "./dom.js";

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
      const bar = make("span", { class: "tm-bar" }), mark = make("span", { class: "tm-mark" });
      const track = make("span", { class: "tm-track" }, bar, mark), value = make("span", { class: "tm-value" }, writeNumber(scores[i]));
      bar.style.width = share(scores[i]);
      mark.style.left = share(control[i]);
      track.title = `${writeNumber(scores[i])}; a random parameter's: ${writeNumber(control[i])}`;
      const label = make("span", { class: "tm-name", title: name }, name); // a long one is cut
      return make("div", { class: "tm-bar-row", role: "listitem" }, label, track, value);
    });
    part("[role=list]").replaceChildren(...rows);
  };

  show();
  const traits = ["title", "unit", "control_name", "names", "scores", "control", "longest", "sign"];
  return listenTo(model, traits, callOnce(show));
}

export default { render };
