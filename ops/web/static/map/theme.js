// Colours of the page that the map, the charts and the picture are drawn with.

const DARK = {
  sea: "#0f1a24",
  land: "#26323d",
  coast: "#8b9aa8",
  border: "#74838f",
  hatch: "#8d9aa6",
  blank: "#37444f",
  text: "#e8edf2",
  muted: "#a9b5c0",
  line: "#41505d",
  surface: "#17212b",
  mark: "#ffffff",
  casing: "#101418",
  point: "#8fc1ee",
};
const LIGHT = {
  sea: "#e3edf4",
  land: "#f7f6f2",
  coast: "#5d6b78",
  border: "#8793a0",
  hatch: "#8b949c",
  blank: "#e4e6e8",
  text: "#1b2630",
  muted: "#566470",
  line: "#ccd4db",
  surface: "#ffffff",
  mark: "#10181f",
  casing: "#ffffff",
  point: "#1f5f99",
};

/** Whether the page is dark: by the colour scheme its root has, which follows the system where nobody chose. */
export function isDark() {
  const { colorScheme } = getComputedStyle(document.documentElement);
  if (colorScheme === "dark" || colorScheme === "light") return colorScheme === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export const theme = () => (isDark() ? DARK : LIGHT);

/** Calls `changed` when the page turns dark or light; gives the function that ends this. */
export function onTheme(changed) {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(changed);
  query.addEventListener("change", changed);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "style", "data-theme"] });
  return () => {
    query.removeEventListener("change", changed);
    observer.disconnect();
  };
}
