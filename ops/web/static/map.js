// The map of the cells' risks: what a risk is where, under which scenario, and what is behind each number.
//
// For tests and other programs: the root's `data-state` is "loading", "ready" (all is drawn), "error" or "empty" (no
// results yet). The field named `coordinates` finds a cell; its form then puts the focus on the map, where Enter
// explains the cell. Numbers of the selected cell are in `.map-status`.

import { html, render } from "./vendor/lit-html/lit-html.js";
import { styles, vendored } from "./map/assets.js";
import { withResults } from "./map/choice.js";
import { figuresOf } from "./map/figures.js";
import { MapView } from "./map/view.js";

/**
 * Draws the map into an element.
 *
 * @param {HTMLElement} root
 * @param {object} context That of every view (context.js).
 * @returns {Promise<() => void>} Ends it.
 */
export async function mapView(root, context) {
  // What the page knows since its login may lack scenarios and results of today.
  const [meta] = await Promise.all([
    context.api.get("meta"),
    styles(vendored("maplibre-gl/maplibre-gl.css")),
    styles(new URL("./map.css", import.meta.url).href),
  ]);
  if (!withResults(meta).length) return empty(root, context);
  const view = new MapView(root, { ...context, meta, figures: figuresOf({ ...context, meta }) });
  view.start();
  return () => view.end();
}

function empty(root, { t }) {
  render(
    html`
    <h1 tabindex="-1">${t("map.title")}</h1>
    <p class="map-notice">${t("map.no_results")} <a href="#/jobs">${t("map.to_jobs")}</a></p>`,
    root,
  );
  root.dataset.state = "empty";
  return () => {
    delete root.dataset.state;
  };
}
