// A picture with its description; it tells the kernel whether the page is dark, now and when the theme changes.
function render({ model, el }) {
  const picture = document.createElement("img");
  picture.className = "tm-picture";
  const probe = document.createElement("span"); // its colour is white on a dark page, see picture.css
  probe.className = "tm-probe";
  el.append(picture, probe);

  let address = null;
  const show = () => {
    const bytes = model.get("value");
    picture.hidden = !bytes.byteLength;
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    if (bytes.byteLength) picture.src = address;
    picture.alt = model.get("alt");
  };
  const tellTheme = () => {
    if (!el.isConnected) return;
    const isDark = getComputedStyle(probe).color === "rgb(255, 255, 255)";
    if (isDark === model.get("is_dark")) return;
    model.set("is_dark", isDark);
    model.save_changes();
  };
  probe.addEventListener("transitionend", tellTheme);
  const sizeObserver = new ResizeObserver(tellTheme); // once it is in the page, or is shown again
  sizeObserver.observe(el);

  model.on("change:value", show);
  model.on("change:alt", show);
  show();
  return () => {
    sizeObserver.disconnect();
    model.off("change:value", show);
    model.off("change:alt", show);
    if (address) URL.revokeObjectURL(address);
  };
}

export default { render };
