// Small pieces that several views draw.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { ABSENT } from "./format.js";
import { t } from "./words.js";

/** A moment, with the full one on demand. */
export function moment(format, at) {
  if (!at) return ABSENT;
  return html`<time datetime=${at} title=${format.fullTime(at)}>${format.time(at)}</time>`;
}

/** Stands in the place of a list that has nothing in it. */
export const empty = (sentence) => html`<p class="empty">${sentence}</p>`;

/** Button for the next page of a list; nothing on the last. */
export const moreButton = (next, load) => (next ? html`<p class="more"><button type="button" @click=${load}>${t("list.more")}</button></p>` : nothing);

/** A sentence where a view could not be drawn, with a button to try again. */
export const failure = (error, again) => html`
  <div class="failure" role="alert">
    <p>${error.message}</p>
    <button type="button" @click=${again}>${t("failure.again")}</button>
  </div>`;

/** A panel of one table: its header cells and its rows. */
export const tablePanel = (id, { title, note, heads, rows }) => html`
  <section aria-labelledby=${id} class="panel">
    <h2 id=${id}>${title}</h2>
    <div class="table-frame" tabindex="0" role="region" aria-labelledby=${id}>
      <table>
        <caption>${note}</caption>
        <thead><tr>${heads}</tr></thead>
        <tbody>${rows}</tbody>
      </table>
    </div>
  </section>`;

/** A button that is shut while its action runs. */
export async function whileShut(event, action) {
  const button = event.currentTarget;
  button.disabled = true;
  try { await action(); } finally { button.disabled = false; }
}

/** Whether the event stream runs. */
export const liveSign = (state) => html`
  <span class="live ${state}" role="status"><span class="sign" aria-hidden="true"></span>${state === "live" ? t("live.on") : t("live.reconnecting")}</span>`;
