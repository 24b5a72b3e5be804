// What stands around every view: head with the ways to go, language, who is here; foot.

import { html, nothing, render } from "./vendor/lit-html/lit-html.js";
import { LANGUAGES, named, spoken, t } from "./words.js";

const VIEWS = ["jobs", "map", "tenants", "health"];

/**
 * Draw the frame; the views draw into its element #view.
 *
 * @param {{session: object|null, meta: object|null, view: string|null}} page
 * @param {{speak: (language: string) => void, logOut: () => void}} actions
 */
export function drawFrame(root, page, actions) {
  render(html`
    <a class="skip" href="#main" @click=${skip}>${t("frame.skip")}</a>
    <header class="frame-head">
      <a class="brand" href="#/jobs"><img src="static/icon.svg" alt="" width="24" height="24">riskflow</a>
      ${page.session ? ways(page) : nothing}
      <div class="frame-tools">
        ${languages(actions.speak)}
        ${page.session ? who(page.session, actions.logOut) : nothing}
      </div>
    </header>
    <main id="main" tabindex="-1"><div id="view"></div></main>
    <footer class="frame-foot">
      <span>riskflow ${page.meta?.version ?? nothing}</span>
      <a href="api/openapi.json">${t("frame.api")}</a>
      ${page.session ? name(page.session) : nothing}
    </footer>`, root);
}

// The address holds the route, so the link must not write its own hash there.
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function ways({ session, view }) {
  const shown = VIEWS.filter((each) => each !== "tenants" || session.may.tenants);
  return html`
    <nav aria-label=${t("frame.ways")}>
      ${shown.map((each) => html`<a href="#/${each}" aria-current=${each === view ? "page" : nothing}>${named("view", each)}</a>`)}
    </nav>`;
}

const languages = (speak) => html`
  <label class="language"><span class="unseen">${t("frame.language")}</span>
    <select @change=${(event) => speak(event.target.value)}>
      ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code} lang=${code} ?selected=${code === spoken()}>${name}</option>`)}
    </select>
  </label>`;

const name = (session) => html`<span class="who">${session.name}
  ${session.name === session.role ? nothing : html`<span class="role">${named("role", session.role)}</span>`}</span>`;

const who = (session, logOut) => html`
  ${name(session)}
  ${session.role === "viewer" ? html`<a href="#/login">${t("login.title")}</a>` : nothing}
  <button type="button" class="slim" @click=${logOut}>${t("frame.log_out")}</button>`;
