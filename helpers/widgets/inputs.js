// Another input for a walker: from a menu, typed, drawn by hand, or a picture of one's own.
import { make, makeField } from "./dom.js";

const CANVAS_SCALE = 6; // screen pixels per pixel of the drawing, for small images
const PEN = 1.1; // radius of the pen in pixels of a 28 x 28 drawing
const PICTURE_KINDS = "image/png,image/jpeg,image/gif,image/webp,image/bmp"; // what browsers decode to pixels
const DRAWING_HINT = "Draw on the black square, or upload a picture.";

// `ask` takes {do: "read", ...}. `draw` of what is returned takes the walker's setup and its menus.
export function createInputPanel(root, ask) {
  const button = (text) => make("button", { type: "button", class: "tm-button" }, text);
  const parts = {
    name: make("select"), model: make("select"), text: make("textarea", { rows: 2 }), outputs: make("input", { type: "text", size: 18, placeholder: "he, she" }),
    canvas: make("canvas", { tabIndex: 0, class: "tm-canvas", role: "application", "aria-label": "drawing; arrow keys move the pen, space lowers or lifts it" }),
    pen: make("span", { class: "tm-pen" }), told: make("span", { class: "tm-caption", role: "status" }, DRAWING_HINT),
    file: make("input", { type: "file", accept: PICTURE_KINDS, "aria-label": "upload a picture" }),
    clear: button("clear"), invert: button("swap light and dark"), from: button("walk from it"), towards: button("walk towards it"), read: button("walk from this sentence"),
  };
  const menus = make("div", { class: "tm-row" }, makeField("input", parts.name), makeField("model", parts.model));
  const drawing = make("div", { class: "tm-row" }, make("div", { class: "tm-drawing" }, parts.canvas, parts.pen),
    make("div", { class: "tm-column" }, parts.told, parts.file,
      make("div", { class: "tm-row" }, parts.from, parts.towards, parts.invert, parts.clear)));
  const typing = make("div", { class: "tm-column" }, makeField("sentence", parts.text),
    make("div", { class: "tm-row" }, makeField("words to tell apart", parts.outputs), parts.read));
  const panel = make("details", { class: "tm-more" }, make("summary", {}, "another input"), menus, drawing, typing);
  root.append(panel);
  const read = (source) => ask({ do: "read", ...source });
  const pen = makeDrawing(parts);
  parts.name.addEventListener("change", () => parts.name.value && read({ name: parts.name.value }));
  parts.model.addEventListener("change", () => parts.model.value && read({ model: parts.model.value }));
  parts.from.addEventListener("click", () => read({ pixels: pen.encode() }));
  parts.towards.addEventListener("click", () => read({ target_pixels: pen.encode() }));
  const readText = () => read({ text: parts.text.value, outputs: parts.outputs.value }); // without words, the model's own
  parts.read.addEventListener("click", readText);
  for (const control of [parts.text, parts.outputs]) {
    control.addEventListener("keydown", (event) => {
      event.stopPropagation(); // what is typed is no command of the notebook
      if (event.key === "Enter" && !event.shiftKey) (event.preventDefault(), readText());
    });
  }
  return { panel, draw: (setup, menus_) => drawInputPanel({ parts, menus, drawing, typing, pen }, setup, menus_) };
}

function drawInputPanel({ parts, menus, drawing, typing, pen }, setup, choices) {
  const fill = (select, names) => {
    select.parentElement.hidden = !names?.length;
    if (select.tmKey === String(names)) return;
    select.tmKey = String(names);
    select.replaceChildren(make("option", { value: "" }, "choose"), ...(names ?? []).map((name) => make("option", { value: name }, name)));
  };
  fill(parts.name, choices?.inputs);
  fill(parts.model, choices?.models);
  menus.hidden = parts.name.parentElement.hidden && parts.model.parentElement.hidden;
  drawing.hidden = setup.kind !== "image";
  typing.hidden = setup.kind !== "sentence";
  if (setup.kind === "image") pen.resize(setup);
  parts.outputs.parentElement.hidden = setup.class_count < 20;
  if (parts.text.tmShown !== setup.text && setup.text !== undefined) parts.text.value = parts.text.tmShown = setup.text;
}

// A canvas as large as the model's images: a pen, pictures scaled to fit, and its pixels as a PNG in base64.
function makeDrawing({ canvas, pen, told, file, clear, invert }) {
  const sheet = canvas.getContext("2d", { willReadFrequently: true });
  let place = [14, 14], isDown = false, last = null;
  const say = (text) => (told.textContent = text);
  const fill = (colour) => {
    sheet.fillStyle = colour;
    sheet.fillRect(0, 0, canvas.width, canvas.height);
  };
  const stroke = (to) => {
    sheet.strokeStyle = "white";
    sheet.lineCap = "round";
    sheet.lineWidth = (2 * PEN * canvas.width) / 28;
    sheet.beginPath();
    sheet.moveTo(...(last ?? to));
    sheet.lineTo(to[0] + 0.01, to[1]);
    sheet.stroke();
    last = to;
  };
  const moveTo = (spot) => {
    const ends = [canvas.width, canvas.height];
    place = spot.map((value, i) => Math.min(ends[i] - 1, Math.max(1, value)));
    [pen.style.left, pen.style.top] = place.map((value, i) => `${(100 * value) / ends[i]}%`);
  };
  const locate = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
  };
  const lift = () => ([isDown, last] = [false, null]);
  canvas.addEventListener("pointerdown", (event) => {
    [isDown, last] = [true, null];
    canvas.setPointerCapture(event.pointerId);
    stroke(locate(event));
  });
  canvas.addEventListener("pointermove", (event) => isDown && event.buttons && stroke(locate(event)));
  canvas.addEventListener("pointerup", (event) => (lift(), moveTo(locate(event))));
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("blur", lift);
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === " ") [isDown, last] = [!isDown, null];
    else moveTo(place.map((value, i) => value + move[i]));
    if (isDown) stroke(place);
    say(`The pen is ${isDown ? "down" : "up"}, at column ${Math.floor(place[0])} and row ${Math.floor(place[1])}.`);
  });
  clear.addEventListener("click", () => (fill("black"), (file.value = ""), say(DRAWING_HINT)));
  invert.addEventListener("click", () => {
    sheet.globalCompositeOperation = "difference";
    fill("white");
    sheet.globalCompositeOperation = "source-over";
  });
  file.addEventListener("click", () => (file.value = "")); // so that the same file can be chosen again
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    const picture = await createImageBitmap(chosen).catch(() => null);
    if (file.files[0] !== chosen) return; // another one was chosen meanwhile
    if (!picture) return say(`“${chosen.name}” holds no picture that can be read; choose a PNG, JPEG, GIF or WebP file.`);
    const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    fill("white"); // the paper under what is transparent, and beside what is not square
    sheet.imageSmoothingQuality = "high"; // a large picture is averaged, not sampled
    sheet.drawImage(picture, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
    picture.close();
    say(`“${chosen.name}”, scaled to ${canvas.width} × ${canvas.height} pixels.`);
  });
  const resize = ({ image_size: [height, width] }) => {
    if (canvas.width === width && canvas.height === height) return;
    Object.assign(canvas, { width, height });
    canvas.style.width = `${width * (width <= 40 ? CANVAS_SCALE : 1)}px`;
    moveTo([width / 2, height / 2]);
    fill("black");
  };
  const encode = () => canvas.toDataURL("image/png").split(",")[1];
  return { resize, encode };
}
