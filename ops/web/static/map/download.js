// Links to the data as files, and the button that makes a picture.

import { html, nothing } from "../vendor/lit-html/lit-html.js";

const FORMATS = { csv: "CSV", geojson: "GeoJSON", parquet: "Parquet", netcdf: "NetCDF" };

/** What can be taken along; of two compared scenarios each has its files. */
export function downloads({ t, api, figures }, choice, { drawn, picture }) {
  const places = choice.compare === "none" ? [choice] : [choice, choice.other];
  return html`
    <div class="map-downloads">
      ${places.map(
        (place) => html`
        <p><span>${t("map.download", { scenario: figures.scenario(place) })}</span>
          ${Object.entries(FORMATS).map(([format, name]) => html`<a href=${addressOf(api, choice.risk, place, format)} download>${name}</a>`)}
        </p>`,
      )}
      ${drawn ? html`<button type="button" @click=${picture}>${t("map.picture")}</button>` : nothing}
    </div>`;
}

/** The parameters of /map, /export and /results. */
export const queryOf = (risk, { scenario, window }) => ({ risk, scenario, start: window.start, end: window.end });

const addressOf = (api, risk, place, format) => api.address("export", { ...queryOf(risk, place), format }).href;
