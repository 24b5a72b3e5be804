// Fields of the trigger dialog: those of climate jobs and those of weekly reports.

import { html } from "./vendor/lit-html/lit-html.js";
import { named, t } from "./words.js";

const CORNERS = [["min_latitude", -90, 90], ["min_longitude", -180, 360], ["max_latitude", -90, 90], ["max_longitude", -180, 360]];

/** Scenario, years, risks, area and uncertainty. */
export function climateFields({ meta }) {
  const { scenario, window } = meta.defaults;
  return html`
    <div class="fields">
      <label>${t("trigger.scenario")}
        <select name="scenario">${scenarios(meta).map((each) => html`<option ?selected=${each === scenario}>${each}</option>`)}</select>
      </label>
      ${yearField("start", t("trigger.start"), window.start)}
      ${yearField("end", t("trigger.end"), window.end)}
    </div>
    <fieldset>
      <legend>${t("trigger.risks")}</legend>
      <p class="hint">${t("trigger.risks_note")}</p>
      <div class="checks">${meta.risks.map((each) => check("risks", each.risk_type, named("risk", each.risk_type)))}</div>
    </fieldset>
    <label class="check"><input type="checkbox" name="uncertainty"><span>${t("trigger.uncertainty")}</span></label>
    <details>
      <summary>${t("trigger.area")}</summary>
      <div class="fields">${CORNERS.map(cornerField)}</div>
    </details>`;
}

/** Date and tenants. */
export const weeklyFields = (tenants) => html`
  <div class="fields">
    <label>${t("trigger.date")} <input type="date" name="report_date"></label>
  </div>
  <p class="hint">${t("trigger.date_note")}</p>
  <fieldset>
    <legend>${t("trigger.tenants")}</legend>
    <p class="hint">${t("trigger.tenants_note")}</p>
    ${tenants.length ? html`<div class="checks">${tenants.map((each) => check("tenants", each.org_id, each.org_name ?? each.org_id))}</div>` : tenantText()}
  </fieldset>`;

function scenarios({ scenarios: known, defaults }) {
  const names = known.filter((each) => each.has_climate).map((each) => each.scenario);
  return names.includes(defaults.scenario) ? names : [defaults.scenario, ...names];
}

const yearField = (name, label, value) => html`
  <label>${label} <input type="number" name=${name} min="1800" max="2300" step="1" value=${value} required></label>`;

const check = (name, value, label) => html`
  <label class="check"><input type="checkbox" name=${name} value=${value}><span>${label}</span></label>`;

const cornerField = ([name, min, max]) => html`
  <label>${named("corner", name)} <input type="number" name=${name} min=${min} max=${max} step="any"></label>`;

const tenantText = () => html`<label>${t("trigger.tenant_ids")} <input type="text" name="tenant_ids" autocomplete="off"></label>`;
