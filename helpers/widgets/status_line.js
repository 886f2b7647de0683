// A status that screen readers speak, a bar while the kernel is at work, and names for the controls beside it.
function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "tm-status tm-status-line";
  const bar = document.createElement("div");
  bar.className = "tm-busy";
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-label", "computing");
  const status = document.createElement("div");
  status.setAttribute("role", "status");
  const alarm = document.createElement("div");
  alarm.setAttribute("role", "alert");
  box.append(bar, status, alarm);
  el.append(box);

  const show = (override) => {
    const isError = override || model.get("is_error"), text = override || model.get("value");
    status.textContent = isError ? "" : text;
    alarm.textContent = isError ? text : "";
  };
  const showBusy = () => {
    bar.hidden = !model.get("busy");
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
    comm_live_update: listenAlive,
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
