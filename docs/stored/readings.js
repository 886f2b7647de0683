// The parameter browser with its whole model: a map of every parameter of a kind, and the items of the one that is open.
import { make, writeNumber } from "./dom.js";
import { makeControl } from "./figures.js";
import { createModel, readBytes, showView, players } from "./player.js";

const ENDS = ["highest", "lowest"];

// session: {kind, selected: [layer, index], items: names, kinds: {label: see notebooks/record.py}}
function playBrowser(session, place) {
  const labels = Object.keys(session.kinds), kinds = {};
  for (const [label, stored] of Object.entries(session.kinds)) {
    const read = (name, Type) => new Type(readBytes(stored[name]).buffer);
    kinds[label] = {
      ...stored, map: { ...stored.map, cells: readBytes(stored.map.cells) },
      ids: read("ids", Uint16Array), scores: read("scores", Uint16Array), numbers: read("numbers", Float32Array),
    };
  }
  let kind = kinds[session.kind], label = session.kind;
  const frame = make("div", { class: "tm-view tm-browser tm-whole" }), note = make("div", { role: "status" });
  const row = make("div", { class: "tm-row" }), ends = make("div", { class: "tm-ends" });
  const map = createModel({ ...kind.map, is_stopped: true, selected: session.selected }, ({ selected }) => selected && show());
  const bars = ENDS.map((_, i) => createModel(describe(i)));
  place.append(frame);
  frame.append(row);
  row.append(makeControl({ label: "what", options: labels, selected: labels.indexOf(label) }, (i) => {
    [label, kind] = [labels[i], kinds[labels[i]]];
    const [layer, index] = map.get("selected");
    map.change({ ...kind.map, selected: [layer, Math.min(index, kind.map.count - 1)] });
    show();
  }));
  showView("parameter_map", map, frame);
  frame.append(ends, note);
  bars.forEach((model) => showView("score_bars", model, ends));
  show();

  // The bars of one end: stored scores are shares of the longest bar.
  function describe(end) {
    const [layer, index] = map.get("selected"), at = layer * kind.map.count + index, k = kind.control.length;
    const [norm, longest] = kind.numbers.subarray(3 * at), first = (2 * at + end) * k, sign = end ? -1 : 1;
    const places = [...Array(k).keys()].map((i) => first + i);
    return {
      title: kind.titles[end], sign, longest,
      unit: end ? "" : `${kind.unit} ${writeNumber(norm)}`, control_name: end ? "" : kind.control_name,
      names: places.map((i) => session.items[kind.ids[i]]),
      scores: places.map((i) => (sign * longest * kind.scores[i]) / 65535),
      control: kind.control.map((score) => sign * norm * score),
    };
  }
  function show() {
    const [layer, index] = map.get("selected"), bias = kind.numbers[3 * (layer * kind.map.count + index) + 2];
    bars.forEach((model, end) => model.change(describe(end)));
    const told = Number.isNaN(bias) ? "" : `; its bias is ${writeNumber(bias)}`;
    note.textContent = `${label}, layer ${layer}, ${kind.map.noun} ${index}${told}`;
  }
}

players.browser = playBrowser;
