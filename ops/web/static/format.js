// Numbers, shares and times as the person's language writes them.

/** Stands where there is no number. */
export const ABSENT = "–";

/** Formatters of a locale. A null is written as ABSENT, never as 0. */
export function formatters(locale) {
  return {
    /** A number with `digits` decimals. */
    number: unlessAbsent((value, digits = 0) => decimals(locale, digits).format(value)),
    /** A number with so many significant digits. */
    significant: unlessAbsent((value, digits = 3) => numberFormat(locale, { maximumSignificantDigits: digits }).format(value)),
    /** A difference with its sign. */
    change: unlessAbsent((value) => numberFormat(locale, { signDisplay: "exceptZero" }).format(value)),
    /** A share (0 to 1) as percent. */
    percent: unlessAbsent((share, digits = 0) => decimals(locale, digits, { style: "percent" }).format(share)),
    /** A moment, without its year where that is the present one. */
    time: unlessAbsent((moment) => dateFormat(locale, shortStyle(moment)).format(new Date(moment))),
    /** A moment in full with its zone. */
    fullTime: unlessAbsent((moment) => dateFormat(locale, FULL).format(new Date(moment))),
    /** A calendar day such as 2026-11-23. */
    day: unlessAbsent((day) => dateFormat(locale, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(`${day}T00:00Z`))),
    /** Seconds in the largest two units that matter. */
    duration: unlessAbsent((seconds) => duration(locale, seconds)),
    /** First and last year. */
    window: unlessAbsent(({ start, end }) => `${start}–${end}`),
  };
}

const FULL = { dateStyle: "long", timeStyle: "long" };
const SHORT = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const cache = new Map();

const unlessAbsent = (format) => (value, ...rest) => (value === null || value === undefined ? ABSENT : format(value, ...rest));
const numberFormat = (locale, options) => cached(Intl.NumberFormat, locale, options);
const dateFormat = (locale, options) => cached(Intl.DateTimeFormat, locale, options);
const decimals = (locale, digits, more = {}) =>
  numberFormat(locale, { ...more, minimumFractionDigits: digits, maximumFractionDigits: digits });

// Making an Intl object is slow, and bars are written many times a second.
function cached(Format, locale, options) {
  const key = `${Format.name} ${locale} ${JSON.stringify(options)}`;
  if (!cache.has(key)) cache.set(key, new Format(locale, options));
  return cache.get(key);
}

function shortStyle(moment) {
  return new Date(moment).getFullYear() === new Date().getFullYear() ? SHORT : { ...SHORT, year: "numeric" };
}

function duration(locale, seconds) {
  if (seconds < 10) return unit(locale, seconds, "second", 1);
  let rest = Math.round(seconds);
  const parts = [];
  for (const [name, length] of UNITS) {
    const amount = Math.floor(rest / length);
    rest -= amount * length;
    if (amount || parts.length) parts.push([amount, name]);
  }
  return parts.slice(0, 2).filter(([amount]) => amount).map(([amount, name]) => unit(locale, amount, name, 0)).join(" ");
}

function unit(locale, amount, name, digits) {
  return numberFormat(locale, { style: "unit", unit: name, unitDisplay: "narrow", maximumFractionDigits: digits }).format(amount);
}
