// The page of tenants: what the last report of each says, and what became of it.

import { html, render } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { tellFailure } from "./notices.js";
import { empty, moreButton } from "./parts.js";
import { tenantCard } from "./tenant_card.js";
import { t } from "./words.js";

const PAGE = 50;
const EARLIER = 8;

/** View of all tenants that the person may see. */
export async function tenantsView(root, context) {
  const view = new TenantsPage(root, context);
  await view.start();
  return () => {};
}

class TenantsPage {
  #tenants = [];
  #next = null;
  #histories = new Map();

  constructor(root, context) {
    this.root = root;
    this.context = context;
  }

  async start() {
    await this.#load(null);
  }

  async #load(cursor) {
    const page = await this.context.api.get("/tenants", { limit: PAGE, cursor });
    this.#tenants = cursor ? [...this.#tenants, ...page.items] : page.items;
    this.#next = page.next;
    this.#draw();
  }

  #draw() {
    render(this.#template(), this.root);
  }

  #template() {
    const shown = this.#tenants.filter((each) => matches(each, this.context.params.get("find")));
    return html`
      <header class="view-head">
        <h1 tabindex="-1">${t("tenants.title")}</h1>
        <label class="push">${t("tenants.find")}
          <input type="search" .value=${this.context.params.get("find") ?? ""} @input=${(event) => this.#find(event.target.value)}>
        </label>
      </header>
      <p class="hint" role="status">${t("tenants.shown", { count: shown.length, all: this.#tenants.length })}</p>
      ${shown.length ? "" : empty(t("tenants.none"))}
      <div class="cards tenants">
        ${repeat(shown, (each) => each.org_id, (each) => tenantCard(each, this.#histories.get(each.org_id), this.context, (cursor) => this.#earlier(each.org_id, cursor)))}
      </div>
      ${moreButton(this.#next, () => this.#load(this.#next).catch(tellFailure))}`;
  }

  #find(text) {
    this.context.navigate({ find: text });
    this.#draw();
  }

  async #earlier(orgId, cursor) {
    try {
      const page = await this.context.api.get(`/tenants/${encodeURIComponent(orgId)}/reports`, { limit: EARLIER, cursor });
      const before = cursor ? this.#histories.get(orgId).items : [];
      const shown = this.#tenants.find((each) => each.org_id === orgId).report_date;
      const items = page.items.filter((each) => each.report_date !== shown);
      this.#histories.set(orgId, { items: [...before, ...items], next: page.next });
    } catch (error) {
      tellFailure(error);
    }
    this.#draw();
  }
}

function matches({ org_id: id, org_name: name }, text) {
  return !text || [id, name].some((each) => each?.toLowerCase().includes(text.toLowerCase()));
}
