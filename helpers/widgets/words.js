// What a token could be replaced by: words that the model holds equal, and words that change its outputs.
import { buildOnce, make, writeNumber } from "./dom.js";

const REST = 250; // milliseconds that the pointer rests on a token before its words are asked for

// Ask for the words of a token when the pointer rests on it, or when it has the keyboard.
export function watchTokens(view, isSentence, askForWords) {
  let waiting = null;
  const wait = (event) => {
    clearTimeout(waiting);
    const cell = event.target.closest?.("button.tm-token");
    if (!cell || cell.disabled || !isSentence()) return;
    waiting = setTimeout(() => askForWords([...cell.parentElement.children].indexOf(cell)), REST);
  };
  view.addEventListener("pointerover", wait);
  view.addEventListener("focusin", wait);
  view.addEventListener("pointerleave", () => clearTimeout(waiting));
}

// words: {part, token, equal: [{word, change, prediction}], changing}; unit says what a change is; choose(part, word) puts
// a word in.
export function drawWords(element, words, unit, choose) {
  buildOnce(element, JSON.stringify(words ?? null), () => {
    if (!words) return;
    const row = (title, list) => {
      const buttons = list.map(({ word, change, prediction }) => {
        const text = `${word} (${writeNumber(change, 2)}${prediction ? `, ${prediction}` : ""})`;
        return make("button", { type: "button", class: "tm-button tm-word", title: `put ${word} in`, on: { click: () => choose(words.part, word) } }, text);
      });
      element.append(make("div", { class: "tm-word-row" }, make("span", {}, title), ...(buttons.length ? buttons : ["none found"])));
    };
    row(`“${words.token}” in the sentence itself; the model holds equal:`, words.equal);
    row("words that change the outputs most:", words.changing);
    element.append(make("div", { class: "tm-caption" }, `in brackets: the verified change of the outputs, ${unit}; a click puts the word in and starts there`));
  });
}
