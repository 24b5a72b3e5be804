// The dialog of one dead letter: all that is known of it, and what can be done about it.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { dialogHead, openDialog } from "./dialog.js";
import { doneBadge } from "./letters.js";
import { tell } from "./notices.js";
import { moment } from "./parts.js";
import { t } from "./words.js";

/** Show a letter; resolves to true where something was done about it. */
export function letterDialog({ id }, context) {
  return openDialog((draw, close) => {
    const shown = { id, letter: null, error: null, busy: false };
    const act = (action, body) => perform(shown, action, body, context.api, draw, close);
    read(shown, context.api, draw);
    return () => template(shown, context, act, close);
  }, "wide");
}

// A topic's name may need escaping; the slashes between its parts may not.
const pathOf = (id) => `/letters/${id.split("/").map(encodeURIComponent).join("/")}`;

async function read(shown, api, draw) {
  try {
    shown.letter = await api.get(pathOf(shown.id));
  } catch (error) {
    shown.error = error.message;
  }
  draw();
}

async function perform(shown, action, body, api, draw, close) {
  Object.assign(shown, { busy: true, error: null });
  draw();
  try {
    const answer = await api.post(`${pathOf(shown.id)}/${action}`, body);
    close(true);
    tell(answer.sentence);
  } catch (error) {
    Object.assign(shown, { busy: false, error: error.message });
    draw();
  }
}

const template = (shown, context, act, close) => html`
  ${dialogHead(t("letter.title"), close)}
  <div class="dialog-body">
    <p class="id">${shown.id}</p>
    ${shown.letter ? contents(shown.letter, context.format) : shown.error ? nothing : html`<p>${t("list.loading")}</p>`}
    <div role="alert">${shown.error ? html`<p class="callout bad">${shown.error}</p>` : nothing}</div>
  </div>
  ${shown.letter ? buttons(shown, act, close) : nothing}`;

const contents = (letter, format) => html`
  <p class="callout bad">${letter.reason}</p>
  ${letter.done ? html`<p>${doneBadge(letter.done)} ${moment(format, letter.done.at)}</p>` : nothing}
  <dl class="facts-list">
    ${fact(t("letter.exception"), letter.exception)}
    ${fact(t("col.written"), moment(format, letter.written_at))}
    ${fact(t("col.job"), letter.job_id)}
    ${fact(t("letter.key"), letter.key)}
    ${fact(t("letter.size"), t("letter.bytes", { count: letter.size }))}
    ${fact(t("letter.source"), letter.source && t("letter.place", letter.source))}
  </dl>
  <h3>${t("letter.headers")}</h3>
  <dl class="headers">${letter.headers.map(([name, text]) => html`<div><dt class="id">${name}</dt><dd class="id">${text}</dd></div>`)}</dl>
  <h3>${t("letter.value")}</h3>
  <pre tabindex="0" aria-label=${t("letter.value")}>${indented(letter.value)}</pre>`;

const fact = (name, value) => (value ? html`<div><dt>${name}</dt><dd>${value}</dd></div>` : nothing);

// Letters are often no JSON: that may be why they are dead.
function indented(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

const buttons = ({ letter, busy }, act, close) => html`
  <footer class="dialog-foot">
    <button type="button" @click=${() => close()}>${t("dialog.back")}</button>
    ${letter.done ? nothing : html`<button type="button" class="danger" ?disabled=${busy} @click=${() => act("drop")}>${t("letter.drop")}</button>`}
    <button type="button" class="primary" ?disabled=${busy} @click=${() => act("replay", { again: Boolean(letter.done) })}>${letter.done ? t("letter.replay_again") : t("letter.replay")}</button>
  </footer>`;
