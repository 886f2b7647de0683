// Figures, and the readings of a model's parameters, that were stored for the values of a few controls.
import { make, makeField } from "./dom.js";
import { createModel, readBytes, showView, players } from "./player.js";

// A select, or a slider over the places in a list of options; `change` gets the place of what is chosen.
export function makeControl({ label, options, selected, isSlider }, change) {
  const told = make("span", { class: "tm-told" }, isSlider ? options[selected] : "");
  const control = isSlider
    ? make("input", { type: "range", min: "0", max: String(options.length - 1), value: String(selected), "aria-valuetext": options[selected] })
    : make("select", {}, ...options.map((text, i) => make("option", { value: String(i), selected: i === selected }, text)));
  control.disabled = options.length < 2;
  control.addEventListener("input", () => {
    if (isSlider) control.setAttribute("aria-valuetext", (told.textContent = options[control.value]));
    change(Number(control.value));
  });
  const field = makeField(label, control);
  field.append(told);
  return field;
}

// session: {width, controls: [{label, options, selected, isSlider}], pictures: of every combination, the last control's first}
function playFigures({ width, controls, pictures }, place) {
  const chosen = controls.map(({ selected }) => selected);
  const now = () => pictures[controls.reduce((index, { options }, i) => index * options.length + chosen[i], 0)];
  const describe = (isDark) => ({ value: readBytes(now()[isDark ? "dark" : "light"]), alt: now().alt });
  const model = createModel({ ...describe(false), is_dark: false }, () => show());
  const status = make("div", { role: "status" });
  const show = () => {
    model.change(describe(model.get("is_dark")));
    status.textContent = now().status;
  };
  const row = make("div", { class: "tm-row" }, ...controls.map((control, i) =>
    makeControl(control, (index) => {
      chosen[i] = index;
      show();
    })));
  const frame = make("div", { class: "tm-view tm-figure-explorer tm-whole" }, row);
  place.append(frame);
  showView("picture", model, frame).style.width = width;
  frame.append(status);
  status.textContent = now().status;
}

players.figures = playFigures;
