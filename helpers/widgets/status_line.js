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

  const show = () => {
    const wrong = model.get("wrong"), text = model.get("value");
    said.textContent = wrong ? "" : text;
    alarm.textContent = wrong ? text : "";
  };
  const showBusy = () => {
    bar.hidden = !model.get("busy");
    box.setAttribute("aria-busy", String(model.get("busy")));
  };

  // ipywidgets gives play's buttons and the slider's handle no name, and the notebook's shortcuts would take their keys
  const nameControls = (whole) => {
    for (const [selector, name] of Object.entries(model.get("names"))) {
      whole.querySelectorAll(selector).forEach((found) => found.setAttribute("aria-label", name));
    }
    whole.querySelectorAll("button, select, input, [tabindex], [contenteditable]").forEach((found) => {
      found.dataset.lmSuppressShortcuts = "true";
    });
  };
  const grown = new MutationObserver(() => nameControls(el.closest(".widget-vbox")));
  const placed = new ResizeObserver(() => {
    const whole = el.closest(".widget-vbox");
    if (!whole) return; // not in the page yet
    nameControls(whole);
    grown.observe(whole, { childList: true, subtree: true });
    placed.disconnect();
  });
  placed.observe(box);

  const listeners = { "change:value": show, "change:wrong": show, "change:busy": showBusy };
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
