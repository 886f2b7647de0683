// A status that screen readers speak, a bar while the kernel is at work, and names for the controls beside it.
function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "tm-status";
  const bar = document.createElement("div");
  bar.className = "tm-busy";
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-label", "computing");
  const said = document.createElement("div");
  said.setAttribute("role", "status");
  const alarm = document.createElement("div");
  alarm.setAttribute("role", "alert");
  box.append(bar, said, alarm);
  el.append(box);

  const show = (trouble) => {
    const wrong = trouble || model.get("wrong"), text = trouble || model.get("value");
    said.textContent = wrong ? "" : text;
    alarm.textContent = wrong ? text : "";
  };
  const showBusy = () => {
    bar.hidden = !model.get("busy");
    box.setAttribute("aria-busy", String(model.get("busy")));
  };

  // ipywidgets gives play's buttons and the slider's handle no name, and the notebook's shortcuts would take their keys
  const nameControls = () => {
    for (const [selector, name] of Object.entries(model.get("names"))) {
      whole.querySelectorAll(selector).forEach((found) => found.setAttribute("aria-label", name));
    }
    whole.querySelectorAll("button, select, input, [tabindex], [contenteditable]").forEach((found) => {
      found.dataset.lmSuppressShortcuts = "true";
    });
  };
  let whole = null;
  const grown = new MutationObserver(nameControls);
  const placed = new ResizeObserver(() => {
    whole = el.closest(".widget-vbox");
    if (!whole) return; // not in the page yet
    placed.disconnect();
    whole.classList.add("tm-whole");
    nameControls();
    showAlive();
    grown.observe(whole, { childList: true, subtree: true });
  });
  placed.observe(box);

  // when the kernel is gone, ipywidgets marks each view; the controls would take clicks that nobody answers
  const showAlive = () => {
    const gone = Boolean(whole?.classList.contains("jupyter-widgets-disconnected"));
    for (const part of whole?.children ?? []) part.toggleAttribute("inert", gone && !part.contains(el));
    show(gone ? "The kernel that walked here is gone: run the cell again." : null);
  };
  const listenAlive = () => setTimeout(showAlive); // once the views have been marked

  const listeners = {
    "change:value": () => show(),
    "change:wrong": () => show(),
    "change:busy": showBusy,
    comm_live_update: listenAlive,
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  show();
  showBusy();
  return () => {
    placed.disconnect();
    grown.disconnect();
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
  };
}

export default { render };
