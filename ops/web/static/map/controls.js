// The form that says what the map shows.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { COMPARISONS, QUANTITIES, sameWindow, scenarioOf, windowOf, withResults } from "./choice.js";

/**
 * Risk, scenario, window, quantity and comparison.
 *
 * @param {object} choice
 * @param {(changes: object) => void} choose
 */
export function controls({ t, meta, figures, format }, choice, choose) {
  const place = placeFields({ t, meta, format }, choice);
  return html`
    <form class="map-controls" aria-label=${t("map.controls")} @submit=${(event) => event.preventDefault()}>
      ${select(
        t("map.risk"),
        meta.risks.map(({ risk_type }) => [risk_type, figures.risk(risk_type)]),
        choice.risk,
        (risk) => choose({ risk }),
      )}
      ${place([t("map.scenario"), t("map.window")], choice, choose)}
      ${select(
        t("map.quantity"),
        QUANTITIES.map((name) => [name, t(`map.quantity.${name}`)]),
        choice.quantity,
        (quantity) => choose({ quantity }),
      )}
      ${select(
        t("map.compare"),
        COMPARISONS.map((name) => [name, t(`map.compare.${name}`)]),
        choice.compare,
        (compare) => choose({ compare }),
      )}
      ${choice.compare === "none" ? nothing : place([t("map.with_scenario"), t("map.with_window")], choice.other, (other) => choose({ other: { ...choice.other, ...other } }))}
    </form>`;
}

// Scenario and window hang together: another scenario may lack the window.
const placeFields =
  ({ t, meta, format }) =>
  ([scenarioLabel, windowLabel], { scenario, window }, choose) => html`
  ${select(scenarioLabel, scenarioOptions(meta, scenario, t), scenario, (name) => choose({ scenario: name, window: windowOf(meta, name, window) }))}
  ${select(windowLabel, windowOptions(meta, scenario, window, format), windowName(window), (name) => choose({ window: windowNamed(name) }))}`;

/** A labelled choice of [value, text] pairs. */
export function select(label, options, chosen, choose) {
  return html`
    <label class="map-field"><span>${label}</span>
      <select @change=${(event) => choose(event.target.value)}>
        ${options.map(([value, text]) => html`<option value=${value} .selected=${value === chosen}>${text}</option>`)}
      </select>
    </label>`;
}

function scenarioOptions(meta, chosen, t) {
  const names = withResults(meta).map(({ scenario }) => scenario);
  const all = names.includes(chosen) ? names : [...names, chosen];
  return all.map((name) => [
    name,
    scenarioOf(meta, name)?.derived_from ? t("map.derived_option", { scenario: name }) : name,
  ]);
}

function windowOptions(meta, scenario, chosen, format) {
  const windows = scenarioOf(meta, scenario)?.windows ?? [];
  const all = windows.some((each) => sameWindow(each, chosen)) ? windows : [...windows, chosen];
  return all.map((each) => [windowName(each), format.window(each)]);
}

const windowName = ({ start, end }) => `${start}-${end}`;

function windowNamed(name) {
  const [start, end] = name.split("-").map(Number);
  return { start, end };
}
