// The panel behind one cell's number: GET /explain as charts and figures.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { hasBands } from "./charts.js";
import { numberTables } from "./tables.js";

/**
 * The panel.
 *
 * @param {object} words t, figures, format, named.
 * @param {{place: string, asked: {scenario: string, window: object, risk: string}, found: object|null, error: string|null, busy: boolean}} state
 * @param {{close: () => void, band: () => void}} actions
 */
export function explainPanel(words, state, actions) {
  const { t, figures } = words;
  return html`
    <section class="map-panel" aria-labelledby="map-panel-title" aria-busy=${String(state.busy)}>
      <header>
        <div>
          <h2 id="map-panel-title" tabindex="-1">${figures.risk(state.asked.risk)}</h2>
          <p>${state.place} · ${figures.scenario(state.asked)}</p>
        </div>
        <button type="button" class="map-close" aria-label=${t("map.close")} @click=${actions.close}>×</button>
      </header>
      ${state.error ? html`<p class="map-refused" role="alert">${state.error}</p>` : nothing}
      ${state.busy && !state.found ? html`<p class="map-wait">${t("map.explaining")}</p>` : nothing}
      ${state.found ? explained(words, state, actions) : nothing}
    </section>`;
}

function explained(words, state, actions) {
  const { t, figures } = words;
  const { found } = state;
  return html`
    ${found.reason ? html`<p class="map-notice"><strong>${t("map.no_number")}</strong> ${figures.reason(found.reason)}</p>` : headline(words, state, actions)}
    <h3>${t("map.years")}</h3>
    <p class="map-hint">${words.named("map.intensity", found.risk_type) === found.risk_type ? found.intensity_meaning : words.named("map.intensity", found.risk_type)} [${figures.unit(found.unit)}]</p>
    <div class="map-chart" data-chart="years" role="img" aria-label=${yearsLabel(words, found)}></div>
    <p class="map-hint">${yearsHint(words, found)}</p>
    ${found.probability ? binsPart(words, found) : nothing}
    <h3>${t("map.fit")}</h3>
    ${fit(words, found)}
    <h3>${t("map.stored")}</h3>
    ${storedLines(words, found)}
    ${numberTables(words, found)}`;
}

function headline({ t, figures }, { found, busy }, actions) {
  return html`
    <dl class="map-headline">
      <div><dt>${t("map.quantity.aal")}</dt><dd>${figures.share(found.aal)}</dd></div>
      <div><dt>${t("map.quantity.hazard_score")}</dt><dd>${figures.plain(found.hazard_score)} <small>${figures.level(found.hazard_level)}</small></dd></div>
    </dl>
    ${
      found.aal_p05 === null
        ? html`<button type="button" ?disabled=${busy} @click=${actions.band}>${busy ? t("map.band_busy") : t("map.band_do")}</button>`
        : html`<p>${t("map.band_is", { lower: figures.share(found.aal_p05), upper: figures.share(found.aal_p95) })}</p>`
    }`;
}

const binsPart = ({ t, figures }, found) => html`
  <h3>${t("map.bins")}</h3>
  <p class="map-hint">${t("map.bins_hint", { unit: figures.unit(found.edge_unit) })}</p>
  <div class="map-chart map-chart-bins" data-chart="bins" role="img" aria-label=${t("map.bins_label", { worst: figures.share(found.probability.at(-1)) })}></div>`;

function yearsLabel({ t }, { years, intensity }) {
  return t("map.years_label", {
    count: intensity.filter((value) => value !== null).length,
    start: String(years[0]),
    end: String(years.at(-1)),
  });
}

function yearsHint({ t, figures }, found) {
  const missing = found.years.filter((_, i) => found.intensity[i] === null);
  const absent = missing.length ? t("map.years_missing", { years: missing.join(", ") }) : t("map.years_all");
  return hasBands(found)
    ? `${t("map.bands_are")} ${absent}`
    : `${t("map.bands_none", { unit: figures.unit(found.edge_unit) })} ${absent}`;
}

function fit({ t, named, format }, found) {
  const write = (value) => (Array.isArray(value) ? value.map(write).join(", ") : format.significant(value, 5));
  return html`
    <dl class="map-pairs">
      <div><dt>${t("map.estimator")}</dt><dd>${named("map.estimator", found.estimator)}</dd></div>
      ${Object.entries(found.parameters).map(([name, value]) => html`<div><dt>${named("map.parameter", name)}</dt><dd>${write(value)}</dd></div>`)}
      ${found.basis ? html`<div><dt>${t("map.basis")}</dt><dd>${found.basis}</dd></div>` : nothing}
    </dl>`;
}

const storedLines = (words, found) => html`
  <ul class="map-stored">
    ${Object.entries(found.stored).map(([kind, row]) => html`<li>${storedLine(words, kind, row)}</li>`)}
    ${found.failures.map((failure) => html`<li class="map-refused">${failureLine(words, failure)}</li>`)}
  </ul>`;

function storedLine({ t, named, format }, kind, row) {
  const name = named("map.kind", kind);
  if (row === null) return t("map.stored_none", { kind: name });
  const verdict = row.same
    ? t("map.stored_same")
    : t("map.stored_differs", { differs: row.differs.join(", "), why: row.why });
  return html`${t("map.stored_of", { kind: name, at: format.time(row.calculated_at) })} ${jobLink(t, row.job_id)} — ${verdict}`;
}

const failureLine = ({ t, named, format }, { kind, job_id: job, failed_at: at, reason }) => html`
  ${t("map.failed", { kind: named("map.kind", kind), at: format.time(at) })} ${jobLink(t, job)} — ${reason ?? t("map.failed_unsaid")}`;

const jobLink = (t, id) =>
  id === null ? t("map.before_riskflow") : html`<a href=${`#/jobs/${encodeURIComponent(id)}`}>${id}</a>`;
