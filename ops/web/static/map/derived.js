// The sentence under which a derived scenario is shown.

import { html } from "../vendor/lit-html/lit-html.js";
import { scenarioOf } from "./choice.js";

/** A notice for each of the scenarios that was derived by the delta-change method. */
export function derivedNotices({ t, meta, format }, names) {
  const derived = [...new Set(names)].map((name) => scenarioOf(meta, name)).filter((entry) => entry?.derived_from);
  return derived.map(
    ({ scenario, derived_from: from, ta, rn }) => html`
    <p class="map-notice map-derived" role="note">
      <strong>${t("map.what_if_sign")}</strong>
      ${t("map.derived", { scenario, from, ta: signed(ta, format), rn: format.significant(rn, 4) })}
    </p>`,
  );
}

const signed = (value, format) => `${value < 0 ? "−" : "+"}${format.significant(Math.abs(value), 3)}`;
