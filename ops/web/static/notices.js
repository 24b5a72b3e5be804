// Results of actions, told to eyes and to screen readers.

import { html, render } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { t } from "./words.js";

const SHOWN = 12000;
const SIGNS = { done: "✓", failed: "!", info: "i" };
let notices = [];
let count = 0;

/** Say a sentence for some seconds; `kind` is done, failed or info. One that failed stays until it is closed. */
export function tell(sentence, kind = "done") {
  const notice = { sentence, kind, id: (count += 1) };
  notices = [...notices.slice(-3), notice];
  draw();
  if (kind !== "failed") setTimeout(() => close(notice), SHOWN);
}

/** Say what an action could not do. */
export function tellFailure(error) {
  if (error.status !== 401) tell(error.message, "failed");
}

/** Say a sentence to screen readers only. */
export function whisper(sentence) {
  document.getElementById("whisper").textContent = sentence;
}

function close(notice) {
  notices = notices.filter((each) => each !== notice);
  draw();
}

function draw() {
  render(repeat(notices, (each) => each.id, noticeOf), document.getElementById("notices"));
}

const noticeOf = (notice) => html`
  <div class="notice ${notice.kind}">
    <span class="sign" aria-hidden="true">${SIGNS[notice.kind]}</span>
    <p>${notice.sentence}</p>
    <button type="button" class="plain" aria-label=${t("notice.close")} @click=${() => close(notice)}>×</button>
  </div>`;
