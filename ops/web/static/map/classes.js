// Which numbers share a colour. A class is its lower bound, included, to the next one's, excluded.

import { diverging, ramp } from "./colours.js";

const CLASSES = 7;
const SKEWED = 4;

/**
 * Classes of a quantity.
 *
 * @param {string} quantity
 * @param {(number|null)[][]} columns The numbers, of one map or of two that share a scale.
 * @param {{difference: boolean, levels: number}} what
 * @returns {{method: "levels"|"equal"|"quantiles"|"centred"|"centred_quantiles"|"none", zero: boolean, breaks: number[],
 *   colours: string[]}} `breaks` are the bounds between the classes, one fewer than the colours; with `zero` the first
 *   class is zero alone.
 */
export function classesOf(quantity, columns, { difference, levels }) {
  const sorted = sortedNumbers(columns);
  if (!sorted.length) return { method: "none", breaks: [], colours: [] };
  if (quantity === "hazard_level") return difference ? levelSteps() : levelClasses(levels);
  return difference ? centred(sorted) : sequential(sorted);
}

/** Place of a number's class. */
export function classOf(classes, value) {
  const above = classes.breaks.findIndex((bound) => value < bound);
  return above < 0 ? classes.breaks.length : above;
}

/** Cells per class, and under `without` those that have no number. */
export function countsOf(classes, column) {
  const counts = classes.colours.map(() => 0);
  let without = 0;
  for (const value of column) {
    if (value === null) without += 1;
    else counts[classOf(classes, value)] += 1;
  }
  return { counts, without };
}

function levelClasses(levels) {
  return { method: "levels", breaks: range(levels - 1).map((i) => i + 0.5), colours: ramp(levels) };
}

function levelSteps() {
  return { method: "levels", breaks: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], colours: diverging(7) };
}

// Equal steps read best; where a few cells have many times the median they would leave one colour for all others.
function sequential(sorted) {
  const skewed = quantile(sorted, 0.98) > SKEWED * quantile(sorted, 0.5);
  const breaks = skewed ? quantileBreaks(sorted) : equalBreaks(sorted);
  return {
    method: skewed ? "quantiles" : "equal",
    zero: skewed && hasZeros(sorted),
    breaks,
    colours: ramp(breaks.length + 1),
  };
}

function quantileBreaks(sorted) {
  const breaks = range(CLASSES - 1).map((i) => rounded(quantile(sorted, (i + 1) / CLASSES)));
  // Zeros are a class of their own: its upper bound is the smallest number above them.
  const first = hasZeros(sorted) ? downward(sorted.find((value) => value > 0)) : null;
  return distinct([first, ...breaks].filter((bound) => bound !== null && bound > sorted[0]));
}

function equalBreaks(sorted) {
  const least = sorted[0];
  const step = niceStep((quantile(sorted, 0.98) - least) / CLASSES);
  if (step === 0) return [];
  const first = Math.floor(least / step) + 1;
  const breaks = range(CLASSES).map((i) => tidy((first + i) * step));
  return breaks.filter((bound) => bound > least && bound < sorted.at(-1)).slice(0, CLASSES - 1);
}

// As large on both sides, so that blue and orange say the same size of change.
function centred(sorted) {
  const sizes = sorted.map(Math.abs).sort();
  const skewed = quantile(sizes, 0.98) > SKEWED * quantile(sizes, 0.5) && quantile(sizes, 0.3) > 0;
  const bounds = skewed
    ? distinct([0.3, 0.65, 0.9].map((share) => rounded(quantile(sizes, share))))
    : evenBounds(sizes);
  const breaks = [...bounds.map((bound) => -bound).reverse(), ...bounds];
  return { method: skewed ? "centred_quantiles" : "centred", breaks, colours: diverging(breaks.length + 1) };
}

function evenBounds(sizes) {
  const step = niceStep((2 * (quantile(sizes, 0.98) || sizes.at(-1))) / CLASSES);
  return step === 0 ? [] : [0.5, 1.5, 2.5].map((steps) => tidy(steps * step));
}

const hasZeros = (sorted) => sorted[0] === 0 && sorted.at(-1) > 0;

function sortedNumbers(columns) {
  return Float64Array.from(columns.flat().filter((value) => value !== null)).sort();
}

const quantile = (sorted, share) => sorted[Math.round(share * (sorted.length - 1))];
const range = (count) => Array.from({ length: count }, (_, i) => i);
const distinct = (sorted) => [...new Set(sorted)].sort((one, other) => one - other);
const tidy = (value) => Number(value.toPrecision(12));
const rounded = (value) => Number(value.toPrecision(2));

// To two digits, but never above the value.
function downward(value) {
  if (value === undefined) return null;
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return tidy(Math.floor(value / unit) * unit);
}

// The next of 1, 2, 2.5 and 5 times a power of ten.
function niceStep(wanted) {
  if (!(wanted > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return tidy([1, 2, 2.5, 5, 10].find((factor) => factor * power >= wanted * (1 - 1e-9)) * power);
}
