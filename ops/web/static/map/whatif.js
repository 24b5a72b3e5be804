// "What if": a scenario derived by the delta-change method, and the job that computes its risks.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { select } from "./controls.js";

/**
 * The panel, for those who may start jobs.
 *
 * @param {object} words
 * @param {{from: string, busy: boolean, made: object|null, job: string|null, error: string|null}} state
 * @param {{derive: (body: object) => void, compute: () => void, choose: (from: string) => void}} actions
 */
export function whatIf(words, state, actions) {
  const { t } = words;
  return html`
    <details class="map-whatif" ?open=${state.open} @toggle=${(event) => actions.toggle(event.target.open)}>
      <summary>${t("map.what_if")}</summary>
      <p class="map-hint">${t("map.what_if_hint")}</p>
      ${form(words, state, actions)}
      ${state.error ? html`<p class="map-refused" role="alert">${state.error}</p>` : nothing}
      <div aria-live="polite">${state.made ? made(words, state, actions) : nothing}</div>
    </details>`;
}

function form({ t, meta }, state, actions) {
  const sources = meta.scenarios.filter((entry) => entry.has_climate).map(({ scenario }) => [scenario, scenario]);
  const submit = (event) => {
    event.preventDefault();
    const { name, ta, rn } = event.target.elements;
    actions.derive({ from: state.from, name: name.value.trim(), ta: ta.valueAsNumber, rn: rn.valueAsNumber });
  };
  return html`
    <form class="map-controls" @submit=${submit}>
      ${select(t("map.from_scenario"), sources, state.from, actions.choose)}
      <label class="map-field"><span>${t("map.new_name")}</span><input name="name" required pattern="[A-Za-z0-9][A-Za-z0-9_.\\-]*" maxlength="64" autocomplete="off" spellcheck="false" placeholder="warm2"></label>
      <label class="map-field"><span>${t("map.ta")}</span><input name="ta" type="number" required step="any" value="2"></label>
      <label class="map-field"><span>${t("map.rn")}</span><input name="rn" type="number" required step="any" min="0" value="1"></label>
      <button type="submit" ?disabled=${state.busy}>${t("map.derive")}</button>
    </form>`;
}

const made = ({ t }, { made: { scenario, sentence }, busy, job }, actions) => html`
  <p>${sentence}</p>
  ${
    job
      ? html`<p>${t("map.job_sent")} <a href=${`#/jobs/${encodeURIComponent(job)}`}>${job}</a></p>`
      : html`<button type="button" ?disabled=${busy} @click=${actions.compute}>${t("map.compute", { scenario })}</button>`
  }`;
