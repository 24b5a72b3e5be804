// Who is here: the token in the address, the login form, and the end of a session.

import { html, nothing, render } from "./vendor/lit-html/lit-html.js";
import { t } from "./words.js";

const IN_ADDRESS = "#token=";

/** Token of an address such as #token=abc, which is taken out of the address at once; null where there is none. */
export function tokenFromAddress() {
  if (!location.hash.startsWith(IN_ADDRESS)) return null;
  const token = decodeURIComponent(location.hash.slice(IN_ADDRESS.length));
  history.replaceState(null, "", location.pathname + location.search);
  return token;
}

export const logIn = (api, token) => api.post("/session", { token }, { guest: true });

/** Draw the login form; `entered` is called when the server has taken the token. `refusal` is what it said before. */
export function loginForm(root, api, entered, refusal = null) {
  const form = { error: refusal, busy: false };
  const draw = () => render(template(form, submit), root);
  const submit = async (event) => {
    event.preventDefault();
    Object.assign(form, { busy: true, error: null });
    draw();
    try {
      await logIn(api, new FormData(event.target).get("token").trim());
      await entered();
    } catch (error) {
      Object.assign(form, { busy: false, error: error.message });
      draw();
      root.querySelector("input").focus();
    }
  };
  draw();
  root.querySelector("input").focus();
}

const template = (form, submit) => html`
  <form class="login card" @submit=${submit} aria-busy=${form.busy}>
    <h1 tabindex="-1">${t("login.title")}</h1>
    <p class="hint">${t("login.note")}</p>
    <label>${t("login.token")} <input type="password" name="token" required autocomplete="current-password" spellcheck="false"></label>
    <div role="alert">${form.error ? html`<p class="callout bad">${form.error}</p>` : nothing}</div>
    <button type="submit" class="primary" ?disabled=${form.busy}>${t("login.enter")}</button>
  </form>`;
