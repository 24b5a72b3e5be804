// The field that finds a cell by its coordinates, and the line that says what is selected.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { nearest } from "./neighbours.js";

/** Form of one field, "latitude, longitude". */
export function findForm({ t }, { message, find }) {
  const submit = (event) => {
    event.preventDefault();
    find(event.target.elements.coordinates.value);
  };
  return html`
    <form class="map-find" @submit=${submit}>
      <label class="map-field"><span>${t("map.find")}</span>
        <input name="coordinates" inputmode="text" autocomplete="off" placeholder="37.5, 127.0" aria-describedby="map-find-message">
      </label>
      <button type="submit">${t("map.find_do")}</button>
      <p id="map-find-message" class="map-refused" role="alert">${message ?? nothing}</p>
    </form>`;
}

/** The cell nearest to what was typed: {place} or {message}, the sentence for what cannot be read. */
export function found({ t }, cells, text) {
  const numbers = text
    .trim()
    .split(/[\s,;]+/)
    .map(Number);
  const [latitude, longitude] = numbers;
  const readable = numbers.length === 2 && text.trim() && Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180;
  if (!readable) return { message: t("map.find_unread") };
  const place = nearest(cells, latitude, longitude);
  return place < 0 ? { message: t("map.no_cells") } : { place };
}

/** What is selected, said aloud when it changes. */
export function statusLine({ t, figures }, cells, place, quantity) {
  const facts = place < 0 ? null : figures.cell(cells, place, quantity);
  return html`
    <p class="map-status" role="status" aria-live="polite">
      ${
        facts
          ? html`<strong>${figures.place(cells.latitude[place], cells.longitude[place])}</strong>${facts.map(([name, text]) => html` · <span>${name} ${text}</span>`)}`
          : t("map.status_none")
      }
    </p>`;
}
