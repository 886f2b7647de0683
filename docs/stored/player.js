// The widgets of the notebooks in a page without a kernel: each view of the package runs unchanged, on a model that
// answers from what was stored (see notebooks/record.py), or computes it where that is easy.
import { make } from "./dom.js";

const NEAR = "600px"; // how near to the window a widget is when its session is loaded
export const NOT_STORED = "This page plays what was stored. That needs a running kernel: open the notebook, its link is below.";

export const players = {}; // kind of session -> what plays it in a place of the page; other files fill it

// What anywidget gives a view as its model: `answer` gets each message, and the traits that the view has changed.
export function createModel(traits, answer = () => {}) {
  const listeners = {}, changed = {};
  const emit = (event, content) => [...(listeners[event] ?? [])].forEach((listener) => listener(content));
  const change = (changes) => {
    Object.assign(traits, changes);
    for (const name of Object.keys(changes)) emit(`change:${name}`);
  };
  return {
    change, emit,
    get: (name) => traits[name],
    set(name, value) {
      changed[name] = value;
      change({ [name]: value });
    },
    save_changes() {
      const now = { ...changed };
      for (const name of Object.keys(now)) delete changed[name];
      answer(now);
    },
    send: (message) => setTimeout(() => answer(message)),
    on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
    off: (event, listener) => listeners[event]?.delete(listener),
  };
}

// Show a view of the package in a box of its own, with its model.
export function showView(name, model, parent) {
  const el = make("div", { class: "tm-view" });
  parent.append(el);
  views[name].render({ model, el });
  return el;
}

export function readBytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// Load a session, whose file calls tmWidgets.play(name, session), when its place comes near to the window.
const waiting = {};
function play(name, session) {
  const place = waiting[name], notebook = place.dataset.notebook;
  place.replaceChildren();
  players[session.view](session, place);
  const link = notebook ? make("a", { href: notebook, download: "" }, "the notebook") : "the notebook";
  place.append(make("p", { class: "tm-played" }, `${PLAYED[session.view]} For anything else, run `, link, "."));
  place.nextElementSibling?.classList.contains("tm-still") && (place.nextElementSibling.hidden = true);
}

const PLAYED = {
  walker: "Played from stored walks: step, play, the slider, the race, every algorithm, and the inputs of “another input”; other parts, step lengths, tolerances and inputs were not stored.",
  directions: "Played from stored moves along each direction.",
  figures: "Played from stored figures, for the values that the controls offer here.",
  browser: "Every neuron and every head of the model, as stored; the search, the map of words, other readings and single columns of heads were not stored.",
  plane: "Computed in this page, from the functions' closed forms.",
};

// Sessions are loaded from beside the script of this page.
function watchPlaces() {
  const base = document.querySelector("script[src*='widgets.js']").src.replace(/widgets\.js.*$/, "");
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      waiting[target.dataset.session] = target;
      document.head.append(make("script", { src: `${base}sessions/${target.dataset.session}.js` }));
    }
  }, { rootMargin: NEAR });
  document.querySelectorAll(".tm-session").forEach((place) => observer.observe(place));
}

document.addEventListener("DOMContentLoaded", watchPlaces);
