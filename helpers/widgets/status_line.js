// A status that screen readers speak, a bar and a stop while the kernel is at work, and names for the controls beside it.
import { describeWork, make } from "./dom.js";

function render({ model, el }) {
  const bar = make("div", { class: "tm-busy", role: "progressbar", "aria-label": "computing" });
  const status = make("div", { role: "status" }), alarm = make("div", { role: "alert" });
  const stop = make("button", { type: "button", class: "tm-button", on: { click: () => model.send({ do: "stop" }) } }, "stop");
  const work = make("span", { class: "tm-receipt", "aria-hidden": "true" });
  const box = make("div", { class: "tm-status tm-status-line" }, bar, make("div", { class: "tm-texts" }, status, alarm, work), stop);
  el.append(box);

  const show = (override) => {
    const isError = override || model.get("is_error"), text = override || model.get("value");
    status.textContent = isError ? "" : text;
    alarm.textContent = isError ? text : "";
  };
  const showBusy = () => {
    bar.hidden = stop.disabled = !model.get("busy");
    if (bar.hidden) work.textContent = "";
    stop.hidden = !model.get("can_stop");
    box.setAttribute("aria-busy", String(model.get("busy")));
  };

  // ipywidgets gives play's buttons and the slider's handle no name, and the notebook's shortcuts would take their keys
  const nameControls = () => {
    for (const [selector, name] of Object.entries(model.get("names"))) {
      root.querySelectorAll(selector).forEach((element) => element.setAttribute("aria-label", name));
    }
    root.querySelectorAll("button, select, input, [tabindex], [contenteditable]").forEach((element) => {
      element.dataset.lmSuppressShortcuts = "true";
    });
  };
  let root = null;
  const childObserver = new MutationObserver(nameControls);
  const sizeObserver = new ResizeObserver(() => {
    root = el.closest(".widget-vbox");
    if (!root) return; // not in the page yet
    sizeObserver.disconnect();
    root.classList.add("tm-whole");
    nameControls();
    showAlive();
    childObserver.observe(root, { childList: true, subtree: true });
  });
  sizeObserver.observe(box);

  // when the kernel is disconnected, ipywidgets marks each view; the controls would take clicks that nobody answers
  const showAlive = () => {
    const disconnected = Boolean(root?.classList.contains("jupyter-widgets-disconnected"));
    for (const part of root?.children ?? []) part.toggleAttribute("inert", disconnected && !part.contains(el));
    show(disconnected ? "The kernel of this widget has stopped; run the cell again." : null);
  };
  const listenAlive = () => setTimeout(showAlive); // once the views have been marked

  const listeners = {
    "change:value": () => show(),
    "change:is_error": () => show(),
    "change:busy": showBusy,
    "change:can_stop": showBusy,
    comm_live_update: listenAlive,
    "msg:custom": ({ progress }) => model.get("busy") && (work.textContent = describeWork("", progress)),
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  show();
  showBusy();
  return () => {
    sizeObserver.disconnect();
    childObserver.disconnect();
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
  };
}

export default { render };
