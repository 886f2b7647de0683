// Files of a walk: a picture, a moving picture, a table, the path itself; and code that repeats what was done by hand.
import { make } from "./dom.js";

const FILES = { csv: "outputs (CSV)", path: "path (safetensors)", gif: "walk (GIF)", mp4: "walk (MP4)" };

// `ask` takes {do: "take_away", kind}, and so does `follow`, for what the reader has not asked for this time. `receive` of
// what is returned takes {name, content in base64}; `draw` takes what is drawn, and its newest point.
export function createTakeAway(root, ask, follow, getPicture) {
  let newest = null, written = null; // points; the code is that of a walk up to the second one
  let isWanted = false; // the code; it may arrive after it was hidden
  const code = make("pre", { class: "tm-code", tabIndex: 0, hidden: true, "aria-label": "code that repeats this" });
  const button = (text, action) => make("button", { type: "button", class: "tm-button", on: { click: action } }, text);
  const toggle = () => {
    isWanted = code.hidden;
    if (isWanted) write(ask);
    else show(false);
  };
  const buttons = { code: button("show me the code", toggle) };
  for (const [kind, text] of Object.entries(FILES)) buttons[kind] = button(text, () => ask({ do: "take_away", kind }));
  buttons.png = button("picture (PNG)", async () => download("walk.png", await enlarge(getPicture())));
  const row = make("div", { class: "tm-row" }, ...Object.values(buttons));
  root.append(make("details", { class: "tm-more" }, make("summary", {}, "take it away"), row, code));
  const write = (send) => {
    written = newest;
    send({ do: "take_away", kind: "code" });
  };
  const show = (isShown) => {
    code.hidden = !isShown;
    buttons.code.textContent = isShown ? "hide the code" : "show me the code";
  };
  const receive = ({ name, content }) => {
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    if (!name.endsWith(".py")) return download(name, new Blob([bytes]));
    if (!isWanted) return;
    code.textContent = new TextDecoder().decode(bytes);
    show(true);
  };
  const draw = (kinds, point) => {
    for (const [kind, each] of Object.entries(buttons)) each.hidden = !kinds.includes(kind);
    newest = point ?? newest;
    if (!code.hidden && newest !== written) write(follow);
  };
  return { receive, draw };
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
