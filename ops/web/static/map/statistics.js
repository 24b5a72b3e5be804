// The strip of numbers over the map.

import { html } from "../vendor/lit-html/lit-html.js";

/** Counts and means of the shown cells as pairs of name and text, for each map. */
export function statisticsOf(words, shown) {
  return shown.map((cells) => (cells.of ? differenceFacts(words, cells) : factsOf(words, cells)));
}

/** The strips; of two maps each has its title. */
export function statistics({ t }, strips, titles) {
  return html`<div class="map-statistics">${strips.map((facts, i) => strip(t, facts, strips.length > 1 ? titles[i] : null))}</div>`;
}

function strip(t, facts, title) {
  return html`
    <dl class="map-facts" aria-label=${title ?? t("map.statistics")}>
      ${title ? html`<div class="map-facts-title"><dt></dt><dd>${title}</dd></div>` : ""}
      ${facts.map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`)}
    </dl>`;
}

function factsOf({ t, figures, format, meta }, cells) {
  const losses = cells.values.aal.filter((value) => value !== null);
  const levels = meta.levels.map((name, i) => [
    figures.level(name),
    format.number(cells.values.hazard_level.filter((level) => level === i).length),
  ]);
  return [
    [t("map.cells_all"), format.number(cells.count)],
    [t("map.cells_with"), format.number(losses.length)],
    [t("map.mean_aal"), figures.share(mean(losses))],
    ...levels,
  ];
}

function differenceFacts({ t, figures, format }, cells) {
  const changes = cells.values.aal.filter((value) => value !== null);
  return [
    [t("map.cells_both"), format.number(cells.count)],
    [t("map.cells_with"), format.number(changes.length)],
    [t("map.cells_only_first"), format.number(cells.onlyFirst)],
    [t("map.cells_only_second"), format.number(cells.onlySecond)],
    [t("map.mean_change"), figures.change("aal", mean(changes))],
    [t("map.more_loss"), format.number(changes.filter((value) => value > 0).length)],
    [t("map.less_loss"), format.number(changes.filter((value) => value < 0).length)],
  ];
}

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
