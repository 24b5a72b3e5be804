// Texts of the page in the person's language.

export const LANGUAGES = { en: "English", ko: "한국어" };
const STORED = "riskflow.language";
const texts = {};
let language = "en";
let plural = new Intl.PluralRules("en");
let numbers = new Intl.NumberFormat("en");

/** Language chosen before, else the first of the browser's that the page speaks, else English. */
export function preferred() {
  const wanted = [remembered(), ...navigator.languages.map((each) => each.slice(0, 2).toLowerCase())];
  return wanted.find((each) => each in LANGUAGES) ?? "en";
}

/** Speak this language from now on and remember it. */
export async function speak(chosen) {
  texts[chosen] ??= await (await fetch(new URL(`./words/${chosen}.json`, import.meta.url))).json();
  language = chosen;
  plural = new Intl.PluralRules(locale());
  numbers = new Intl.NumberFormat(locale());
  document.documentElement.lang = chosen;
}

export function remember(chosen) {
  try { localStorage.setItem(STORED, chosen); } catch { /* storage is off: it holds until the page is left */ }
}

function remembered() {
  try { return localStorage.getItem(STORED); } catch { return null; }
}

export const spoken = () => language;

/** Language with the person's region, which decides how numbers and times are written. */
export function locale() {
  return navigator.languages.find((each) => each.toLowerCase().startsWith(language)) ?? language;
}

/**
 * The text of a key with its `{values}`; numbers are written as the language writes them. A text that depends on
 * `count` stands under `key.one` and `key.other`.
 */
export function t(key, values = {}) {
  const text = texts[language][key] ?? texts[language][`${key}.${plural.select(values.count ?? 0)}`] ?? texts[language][`${key}.other`];
  if (text === undefined) throw new Error(`words/${language}.json has no "${key}"`);
  return text.replace(/\{(\w+)\}/g, (_, name) => said(values[name]));
}

/** The word for a value that the server names, such as `risk` `drought`; the value itself where there is none. */
export function named(group, value) {
  return texts[language][`${group}.${value}`] ?? String(value);
}

const said = (value) => (typeof value === "number" ? numbers.format(value) : String(value));
