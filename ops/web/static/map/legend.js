// The legend: which colour stands for which numbers, how they were classed, and what has no number.

import { html } from "../vendor/lit-html/lit-html.js";
import { countsOf } from "./classes.js";

/**
 * The legend's lines, for the page and for the picture.
 *
 * @returns {{title: string, method: string, rows: {colour: string, label: string, counts: number[]}[], without: number[]}} Counts of
 *   cells, one per map.
 */
export function legendOf({ t, figures, format }, quantity, classes, shown) {
  const difference = shown[0].of !== null;
  const counted = shown.map((cells) => countsOf(classes, cells.values[quantity]));
  const write = difference ? figures.change : figures.value;
  return {
    title: titleOf({ t, figures, format }, quantity, shown[0]),
    method: [t(`map.method.${classes.method}`), classes.zero ? t("map.zero_class") : ""].join(" ").trim(),
    rows: classes.colours.map((colour, i) => ({
      colour,
      label: labelOf({ t, write }, quantity, classes, i, difference),
      counts: counted.map(({ counts }) => counts[i]),
    })),
    without: counted.map(({ without }) => without),
  };
}

/** The legend as a part of the page. */
export function legend({ t, format }, { title, method, rows, without }, isGrid) {
  return html`
    <figure class="map-legend" aria-label=${t("map.legend")}>
      <figcaption>${title}</figcaption>
      <ul>
        ${rows.map(
          ({ colour, label, counts }) => html`
          <li><i class="map-swatch" style=${`background:${colour}`}></i><span>${label}</span><small>${cellsText({ t, format }, counts)}</small></li>`,
        )}
        <li><i class="map-swatch ${isGrid ? "map-hatched" : "map-hollow"}"></i><span>${t("map.without")}</span><small>${cellsText({ t, format }, without)}</small></li>
      </ul>
      <p>${method}</p>
    </figure>`;
}

function cellsText({ t, format }, counts) {
  return counts.length === 1
    ? t("map.cells", { count: counts[0] })
    : t("map.cells_two", { first: format.number(counts[0]), second: format.number(counts[1]) });
}

function titleOf({ t, figures, format }, quantity, cells) {
  const name = t(`map.legend.${quantity}`);
  const { worst_bin_label: worst } = cells.answer;
  const titled =
    quantity === "worst_bin" && typeof worst?.lower === "number"
      ? t("map.legend.worst_bin_from", {
          name,
          lower: format.significant(worst.lower, 4),
          unit: figures.unit(worst.unit),
        })
      : name;
  if (!cells.of) return titled;
  const isShare = quantity === "aal" || quantity === "worst_bin";
  return isShare ? t("map.legend.difference_points", { name: titled }) : t("map.legend.difference", { name: titled });
}

function labelOf({ t, write }, quantity, { method, breaks, zero }, i, difference) {
  if (zero && i === 0) return write(quantity, 0);
  if (method === "levels") return write(quantity, difference ? i - 3 : i) + endOf(difference, i, breaks.length, t);
  const [lower, upper] = [breaks[i - 1], breaks[i]];
  if (lower === undefined && upper === undefined) return t("map.all_values");
  if (lower === undefined) return t("map.below", { value: write(quantity, upper) });
  if (upper === undefined) return t("map.from", { value: write(quantity, lower) });
  return t("map.between", { lower: write(quantity, lower), upper: write(quantity, upper) });
}

const endOf = (difference, i, last, t) => (difference && (i === 0 || i === last) ? ` ${t("map.or_more")}` : "");
