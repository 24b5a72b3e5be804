// Libraries that are no modules, and styles: loaded once, when the map is opened.

const loaded = new Map();

export const vendored = (path) => new URL(`../vendor/${path}`, import.meta.url).href;

/** Loads a classic script; gives the global of that name. */
export function script(path, name) {
  return once(path, () => element("script", { src: vendored(path) })).then(() => globalThis[name]);
}

/** Loads a style sheet. */
export function styles(href) {
  return once(href, () => element("link", { rel: "stylesheet", href }));
}

/** Loads a JSON file of the vendored ones. */
export function json(path) {
  return once(path, async () => (await fetch(vendored(path))).json());
}

function once(key, load) {
  if (!loaded.has(key)) {
    // What could not be loaded is asked for again the next time.
    loaded.set(
      key,
      load().catch((error) => {
        loaded.delete(key);
        throw error;
      }),
    );
  }
  return loaded.get(key);
}

function element(tag, attributes) {
  return new Promise((resolve, reject) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.onload = resolve;
    made.onerror = () => reject(new Error(`${attributes.src ?? attributes.href} could not be loaded`));
    document.head.append(made);
  });
}
