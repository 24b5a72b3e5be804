// The view's parts on the page.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { controls } from "./controls.js";
import { derivedNotices } from "./derived.js";
import { downloads } from "./download.js";
import { explainPanel } from "./explain.js";
import { findForm, statusLine } from "./find.js";
import { legend } from "./legend.js";
import { statistics } from "./statistics.js";
import { cellTable } from "./tables.js";
import { whatIf } from "./whatif.js";

/** The whole view of a state (view.js). */
export function page(words, state, actions) {
  const { t, meta } = words;
  const { choice, shown } = state;
  return html`
    <div class="map-view" data-compare=${choice.compare}>
      <h1 tabindex="-1">${t("map.title")}</h1>
      ${controls(words, choice, actions.choose)}
      ${derivedNotices(words, choice.compare === "none" ? [choice.scenario] : [choice.scenario, choice.other.scenario])}
      ${state.error ? html`<p class="map-refused" role="alert">${state.error}</p>` : nothing}
      ${shown ? statistics(words, state.statistics, titles(words, choice)) : nothing}
      <div class="map-body ${choice.explained && choice.cell ? "map-with-panel" : ""}">
        <div class="map-main">
          ${finder(words, state, actions)}
          ${state.canDraw ? nothing : html`<p class="map-notice" role="note">${t("map.no_webgl")}</p>`}
          <div class="map-panes" ?hidden=${state.asTable}>
            ${pane(words, state, 0)}${pane(words, state, 1)}
          </div>
          ${shown && state.asTable ? tablesOf(words, state, actions) : nothing}
          <p id="map-keys" class="map-hint" ?hidden=${state.asTable}>${t("map.keys")}</p>
          ${shown && !state.asTable ? legend(words, state.legend, shown[0].size !== null) : nothing}
          ${downloads(words, choice, { drawn: shown !== null && !state.asTable, picture: actions.picture })}
          <p class="map-hint">${t("map.source")}</p>
        </div>
        ${choice.explained && choice.cell ? explained(words, state, actions) : nothing}
      </div>
      ${words.session.may.trigger ? whatIf(words, state.whatIf, actions.whatIf) : nothing}
    </div>`;
}

/** What each of two compared maps shows. */
export function titles({ t, figures, meta }, choice) {
  const name = (place) => {
    const text = figures.scenario(place);
    const derived = meta.scenarios.some(({ scenario, derived_from: from }) => scenario === place.scenario && from);
    return derived ? t("map.derived_option", { scenario: text }) : text;
  };
  if (choice.compare === "difference") return [t("map.minus", { one: name(choice.other), other: name(choice) })];
  return choice.compare === "side" ? [name(choice), name(choice.other)] : [name(choice)];
}

function pane(words, { choice }, index) {
  const hidden = index > 0 && choice.compare !== "side";
  return html`
    <figure class="map-pane" ?hidden=${hidden}>
      <figcaption>${titles(words, choice)[index] ?? nothing}</figcaption>
      <div class="map-frame">
        <div class="map-canvas"></div>
        <div class="map-tip" aria-hidden="true" hidden></div>
      </div>
    </figure>`;
}

function finder(words, state, actions) {
  const { t } = words;
  const { choice, shown, selected } = state;
  return html`
    <div class="map-finder">
      ${findForm(words, { message: state.findMessage, find: actions.find })}
      ${state.canDraw ? html`<button type="button" @click=${actions.turnTable}>${state.asTable ? t("map.as_map") : t("map.as_table")}</button>` : nothing}
      <button type="button" ?disabled=${selected < 0} @click=${actions.explain}>${t("map.explain")}</button>
      ${shown ? statusLine(words, shown[0], selected, choice.quantity) : nothing}
    </div>`;
}

const tablesOf = (words, { shown, choice, page }, actions) =>
  shown.map(
    (cells, i) => html`
  <h2>${titles(words, choice)[i]}</h2>
  ${cellTable(words, cells, choice.quantity, { page, turn: actions.turn, pick: (place) => actions.pick(i, place) })}`,
  );

function explained(words, { choice, explain }, actions) {
  const { t, figures } = words;
  const sides = choice.compare === "none" ? [] : [choice, choice.other];
  return html`
    <div class="map-side">
      ${
        sides.length
          ? html`<div class="map-sides" role="group" aria-label=${t("map.sides")}>
        ${sides.map((place, i) => html`<button type="button" aria-pressed=${String(explain.side === i)} @click=${() => actions.side(i)}>${figures.scenario(place)}</button>`)}
      </div>`
          : nothing
      }
      ${explainPanel(words, explain, { close: actions.close, band: actions.band })}
    </div>`;
}
