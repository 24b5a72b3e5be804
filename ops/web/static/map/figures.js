// Numbers of the map in words, as the page's language writes them.

import { reasonOf } from "./cells.js";

/** Writers of numbers, given the page's `t`, `named` and `format`, and the names of the levels. */
export function figuresOf({ t, named, format, meta }) {
  const share = (value) => (value === null ? format.significant(null) : `${format.significant(100 * value, 3)}%`);
  const plain = (value) => format.significant(value, 3);
  const level = (name) => (name === null ? plain(null) : named("map.level", name));
  const writers = {
    aal: share,
    worst_bin: share,
    hazard_score: plain,
    hazard_level: (value) => level(value === null ? null : meta.levels[value]),
  };
  const figures = {
    share,
    plain,
    level,
    risk: (name) => titleOf(named, meta, name),
    unit: (unit) => named("map.unit", unit),
    /** A quantity's number. */
    value: (quantity, value) => writers[quantity](value),
    /** A difference with its sign; shares in percentage points. */
    change: (quantity, value) => (value === null ? plain(null) : signed(changeOf(quantity, value, t, format), value)),
    /** Degrees north or south, east or west. */
    place: (latitude, longitude) => placeText(latitude, longitude > 180 ? longitude - 360 : longitude, t),
    scenario: ({ scenario, window }) => `${scenario} · ${format.window(window)}`,
    reason: (reason) => reasonText(reason, t),
  };
  return { ...figures, cell: (cells, place, quantity) => cellFacts(cells, place, quantity, { ...figures, t }) };
}

/** Name and text pairs of what is known of a cell, the shown quantity first. */
function cellFacts(cells, place, quantity, words) {
  const { t } = words;
  const write = cells.of ? words.change : words.value;
  const names = [quantity, ...Object.keys(cells.values).filter((name) => name !== quantity)];
  const facts = names.map((name) => [t(`map.quantity.${name}`), write(name, cells.values[name][place])]);
  if (cells.of || cells.values[quantity][place] !== null) return facts;
  const reason = reasonOf(cells, place, quantity);
  return reason ? [[t("map.no_number"), words.reason(reason)]] : facts;
}

function titleOf(named, meta, name) {
  const title = named("risk", name);
  return title === name ? (meta.risks.find(({ risk_type }) => risk_type === name)?.title ?? name) : title;
}

function changeOf(quantity, value, t, format) {
  const size = Math.abs(value);
  if (quantity === "hazard_score") return format.significant(size, 3);
  if (quantity === "hazard_level") return size === 0 ? t("map.level_same") : t("map.levels_apart", { count: size });
  return t("map.points", { points: format.significant(100 * size, 3) });
}

const signed = (text, value) => (value === 0 ? text : `${value < 0 ? "−" : "+"}${text}`);

function placeText(latitude, longitude, t) {
  const half = `${latitude < 0 ? "s" : "n"}${longitude < 0 ? "w" : "e"}`;
  return t(`map.place.${half}`, { latitude: degrees(Math.abs(latitude)), longitude: degrees(Math.abs(longitude)) });
}

const degrees = (value) => String(Number(value.toFixed(6)));

function reasonText(reason, t) {
  if (reason === null) return "";
  const [kind, ...what] = reason.split(": ");
  return kind === "no_data" ? t("map.reason.no_data", { what: what.join(": ") }) : reason;
}
