// The page of health: what runs, what lags, what fires next, and the dead letters.

import { html, nothing, render } from "./vendor/lit-html/lit-html.js";
import { groupsPanel, schedulesPanel, serversPanel, servicesPanel } from "./health_panels.js";
import { LetterList } from "./letters.js";
import { failure } from "./parts.js";
import { t } from "./words.js";

const EVERY = 10000;

/** View of the system's health, read again every ten seconds while it is looked at. */
export async function healthView(root, context) {
  const view = new HealthPage(root, context);
  await view.start();
  return () => view.stop();
}

class HealthPage {
  #health = null;
  #error = null;

  constructor(root, context) {
    this.root = root;
    this.context = context;
    this.letters = context.session.may.letters ? new LetterList(context, () => this.#draw()) : null;
  }

  async start() {
    await Promise.all([this.#read(), this.letters?.reload()]);
    this.timer = setInterval(() => document.hidden || this.#read(), EVERY);
  }

  stop() {
    clearInterval(this.timer);
  }

  async #read() {
    try {
      this.#health = await this.context.api.get("/health");
      this.#error = null;
    } catch (error) {
      this.#error = error;
    }
    this.#draw();
  }

  #draw() {
    render(this.#template(), this.root);
  }

  #template() {
    const { format } = this.context;
    return html`
      <header class="view-head">
        <h1 tabindex="-1">${t("health.title")}</h1>
        ${this.#health ? html`<span class="hint">${t("health.at", { time: format.time(this.#health.at) })}</span>` : nothing}
        <button type="button" class="slim push" @click=${() => this.#read()}>${t("health.again")}</button>
      </header>
      ${this.#error ? failure(this.#error, () => this.#read()) : nothing}
      ${this.#health ? panels(this.#health, format) : nothing}
      ${this.letters ? this.letters.template(this.#health?.letters) : nothing}`;
  }
}

const panels = (health, format) => html`
  <div class="panels">
    ${serversPanel(health, format)}
    ${servicesPanel(health, format)}
    ${groupsPanel(health, format)}
    ${schedulesPanel(health, format)}
  </div>`;
