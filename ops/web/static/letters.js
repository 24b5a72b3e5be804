// The list of dead letters, with its filters.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { jobLink } from "./job_facts.js";
import { letterDialog } from "./letter.js";
import { empty, failure, moment, moreButton } from "./parts.js";
import { badge } from "./status.js";
import { named, t } from "./words.js";

const PAGE = 20;
const FILTERS = ["topic", "reason", "job", "since"];

/** State of the list; `draw` draws the view that it is part of. */
export class LetterList {
  #items = [];
  #next = null;
  #error = null;

  constructor(context, draw) {
    this.context = context;
    this.draw = draw;
  }

  async reload() {
    await this.#load(null);
  }

  async #load(cursor) {
    const { api, params } = this.context;
    const asked = Object.fromEntries(FILTERS.map((each) => [each, params.get(each)]));
    try {
      const page = await api.get("/letters", { ...asked, all: params.get("all"), limit: PAGE, cursor });
      this.#items = cursor ? [...this.#items, ...page.items] : page.items;
      this.#next = page.next;
      this.#error = null;
    } catch (error) {
      this.#error = error;
    }
    this.draw();
  }

  /** The list; `count` is how many letters wait for somebody. */
  template(count) {
    return html`
      <section class="panel" aria-labelledby="letters">
        <h2 id="letters" tabindex="-1">${t("letters.title")} ${count ? badge("warn", t("letters.waiting", { count })) : nothing}</h2>
        <p class="hint">${t("letters.note")}</p>
        ${this.#filters()}
        ${this.#error ? failure(this.#error, () => this.reload()) : nothing}
        ${this.#items.length ? this.#table() : empty(t("letters.none"))}
        ${moreButton(this.#next, () => this.#load(this.#next))}
      </section>`;
  }

  #filters() {
    const { params } = this.context;
    return html`
      <form class="filters" @submit=${(event) => this.#filter(event)}>
        ${FILTERS.map((name) => html`<label>${named("letter_filter", name)} <input type="text" name=${name} .value=${params.get(name) ?? ""} placeholder=${name === "since" ? "12h, 7d" : nothing}></label>`)}
        <label class="check"><input type="checkbox" name="all" ?checked=${params.get("all") === "true"}><span>${t("letters.all")}</span></label>
        <button type="submit" class="slim">${t("letters.filter")}</button>
      </form>`;
  }

  async #filter(event) {
    event.preventDefault();
    const fields = new FormData(event.target);
    const wanted = Object.fromEntries(FILTERS.map((name) => [name, fields.get(name).trim()]));
    this.context.navigate({ ...wanted, all: fields.get("all") === "on" ? "true" : null });
    await this.reload();
  }

  #table() {
    return html`
      <div class="table-frame" tabindex="0" role="region" aria-labelledby="letters">
        <table class="stacking letters">
          <caption class="unseen">${t("letters.title")}</caption>
          <thead><tr>
            <th scope="col">${t("col.letter")}</th><th scope="col">${t("col.written")}</th><th scope="col">${t("col.reason")}</th>
            <th scope="col">${t("col.job")}</th><th scope="col"><span class="unseen">${t("col.actions")}</span></th>
          </tr></thead>
          <tbody>${repeat(this.#items, (each) => each.id, (each) => this.#row(each))}</tbody>
        </table>
      </div>`;
  }

  #row(letter) {
    return html`
      <tr>
        <th scope="row" class="id">${letter.id}${letter.done ? html`<br>${doneBadge(letter.done)}` : nothing}</th>
        <td data-label=${t("col.written")}>${moment(this.context.format, letter.written_at)}</td>
        <td data-label=${t("col.reason")}><p class="reason">${letter.reason}</p></td>
        <td data-label=${t("col.job")}>${letter.job_id ? jobLink(letter.job_id) : "–"}</td>
        <td class="actions"><button type="button" class="slim" aria-label="${t("letters.view")}: ${letter.id}" @click=${() => this.#view(letter)}>${t("letters.view")}</button></td>
      </tr>`;
  }

  async #view(letter) {
    if (!(await letterDialog(letter, this.context))) return;
    await this.reload();
    // The button that opened the dialog may be gone with its letter.
    if (document.activeElement === document.body) document.getElementById("letters").focus();
  }
}

/** What was done about a letter. */
export const doneBadge = (done) => badge("good", t("letters.done", { action: named("letter_action", done.action), name: done.by }));
