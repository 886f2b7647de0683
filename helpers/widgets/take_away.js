// Files of a walk: a picture, a moving picture, a table, the path itself, and the code that repeats it.
import { make } from "./dom.js";

// `ask` takes {do: "take_away", kind}; `receive` of what is returned takes {name, content in base64}.
export function createTakeAway(root, ask, getPicture) {
  const code = make("pre", { class: "tm-code", tabIndex: 0, hidden: true, "aria-label": "code that repeats the walk" });
  const button = (text, action) => make("button", { type: "button", class: "tm-button", on: { click: action } }, text);
  const kinds = { code: "show me the code", csv: "outputs (CSV)", path: "path (safetensors)", gif: "walk (GIF)", mp4: "walk (MP4)" };
  const buttons = Object.entries(kinds).map(([kind, text]) => button(text, () => ask({ do: "take_away", kind })));
  const png = button("picture (PNG)", async () => download("walk.png", await enlarge(getPicture())));
  root.append(make("details", { class: "tm-more" }, make("summary", {}, "take it away"), make("div", { class: "tm-row" }, ...buttons, png), code));
  const receive = ({ name, content }) => {
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    if (!name.endsWith(".py")) return download(name, new Blob([bytes]));
    code.textContent = new TextDecoder().decode(bytes);
    code.hidden = false;
  };
  const pictures = [...buttons.slice(-2), png]; // of images only
  return { receive, draw: (setup) => pictures.forEach((each) => (each.hidden = setup.kind !== "image")) };
}

function download(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function enlarge(address) {
  const image = make("img", { src: address });
  await image.decode();
  const scale = Math.ceil(280 / image.naturalWidth), canvas = make("canvas");
  Object.assign(canvas, { width: scale * image.naturalWidth, height: scale * image.naturalHeight });
  const sheet = canvas.getContext("2d");
  sheet.imageSmoothingEnabled = false;
  sheet.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve));
}
