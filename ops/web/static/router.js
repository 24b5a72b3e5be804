// Routes of the page, which stand behind the # of its address: #/jobs/<id>?name=value.

export const FIRST = "#/jobs";

/** View, id and parameters of an address's hash. */
export function routeOf(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, ...rest] = path.split("/");
  return { view: view || "jobs", id: rest.length ? decoded(rest.join("/")) : null, params: new URLSearchParams(query) };
}

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** Hash of a view; `id` and `params` where it has them. */
export function hashOf(view, id = null, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  return `#/${view}${id === null ? "" : `/${encodeURIComponent(id)}`}${query.size ? `?${query}` : ""}`;
}

/** Writes parameters of the present view into the address; the view is not drawn anew. */
export function keepParams(route, changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") route.params.delete(name);
    else route.params.set(name, value);
  }
  history.replaceState(null, "", hashOf(route.view, route.id, Object.fromEntries(route.params)));
}
