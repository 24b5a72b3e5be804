// What the event stream cannot tell for the moment, such as that the database does not answer.

import { html, nothing } from "./vendor/lit-html/lit-html.js";

// The server says it again at every look while it lasts, and does not say when it is over.
const OVER = 3000;

export class Trouble {
  #sentence = null;
  #timer;

  /** @param {() => void} draw Draws the view that shows it. */
  constructor(draw) {
    this.draw = draw;
  }

  say(sentence) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#set(null), OVER);
    this.#set(sentence);
  }

  template() {
    return html`<div role="alert" class="trouble">${this.#sentence ? html`<p class="callout warn">${this.#sentence}</p>` : nothing}</div>`;
  }

  #set(sentence) {
    if (sentence === this.#sentence) return;
    this.#sentence = sentence;
    this.draw();
  }
}
