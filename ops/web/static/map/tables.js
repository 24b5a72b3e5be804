// Numbers as tables: those of the charts, and the cells where there is no map.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { binNames } from "./charts.js";
import { reasonOf } from "./cells.js";

const PAGE = 100;

/** The numbers of both charts, for screen readers and for copying. */
export function numberTables({ t, figures, format }, found) {
  const chances = found.probability?.map((chance, i) => [
    binNames(found, format)[i],
    figures.share(chance),
    figures.share(found.base_damage_rate[i]),
  ]);
  const years = found.years.map((year, i) => [
    String(year),
    found.intensity[i] === null ? t("map.missing") : format.significant(found.intensity[i], 5),
  ]);
  return html`
    <details class="map-numbers">
      <summary>${t("map.numbers")}</summary>
      ${chances ? table(t("map.bins"), [t("map.bin", { unit: figures.unit(found.edge_unit) }), t("map.chance"), t("map.damage")], chances) : nothing}
      ${table(t("map.years"), [t("map.year"), t("map.intensity_in", { unit: figures.unit(found.unit) })], years)}
    </details>`;
}

/** The cells, those with the largest number first, a page at a time. */
export function cellTable(words, cells, quantity, { page, turn, pick }) {
  const { t, figures } = words;
  const order = orderOf(cells, quantity);
  const write = cells.of ? figures.change : figures.value;
  const names = [quantity, ...Object.keys(cells.values).filter((name) => name !== quantity)];
  const row = (i) => [
    html`<button type="button" class="map-plain" @click=${() => pick(i)}>${figures.place(cells.latitude[i], cells.longitude[i])}</button>`,
    ...names.map((name) => write(name, cells.values[name][i])),
    cells.of ? "" : figures.reason(reasonOf(cells, i, quantity)),
  ];
  const rows = order.slice(page * PAGE, (page + 1) * PAGE).map(row);
  return html`
    ${table(t("map.table"), [t("map.cell"), ...names.map((name) => t(`map.quantity.${name}`)), t("map.no_number_head")], rows)}
    ${pager(words, order.length, page, turn)}`;
}

function pager({ t }, count, page, turn) {
  const pages = Math.ceil(count / PAGE);
  if (pages < 2) return nothing;
  return html`
    <p class="map-pager">
      <button type="button" ?disabled=${page === 0} @click=${() => turn(page - 1)}>${t("map.page_before")}</button>
      <span>${t("map.page", { page: page + 1, pages })}</span>
      <button type="button" ?disabled=${page + 1 >= pages} @click=${() => turn(page + 1)}>${t("map.page_next")}</button>
    </p>`;
}

// Cells without a number come last. Kept, because sorting tens of thousands takes a moment.
function orderOf(cells, quantity) {
  cells.orders ??= {};
  cells.orders[quantity] ??= sorted(cells, quantity);
  return cells.orders[quantity];
}

function sorted(cells, quantity) {
  const column = cells.values[quantity];
  const order = Array.from({ length: cells.count }, (_, i) => i);
  return order.sort((one, other) => (column[other] ?? -Infinity) - (column[one] ?? -Infinity) || one - other);
}

const table = (caption, heads, rows) => html`
  <div class="map-scroll" tabindex="0" role="region" aria-label=${caption}>
    <table>
      <caption>${caption}</caption>
      <thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
      <tbody>${rows.map(([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((text) => html`<td>${text}</td>`)}</tr>`)}</tbody>
    </table>
  </div>`;
