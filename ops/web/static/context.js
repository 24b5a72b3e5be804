// What every view is given. A view is `async (root, context) => teardown`: it draws into the element `root`, and
// `teardown()` ends its streams and timers.

import { formatters } from "./format.js";
import { locale, named, t } from "./words.js";

/**
 * @param {object} page
 * @param {object} page.api Client of the API (api.js): get(path, params), post(path, body), delete(path), address(path, params), stream(path, handlers).
 * @param {object} page.meta GET /api/v1/meta.
 * @param {object} page.session GET /api/v1/session.
 * @param {{view: string, id: string|null, params: URLSearchParams}} page.route
 * @param {(params: Object<string, any>) => void} page.navigate Puts parameters into the address without drawing the view
 *   anew; the view has drawn what they say. null, undefined and "" take one out.
 */
export function viewContext({ api, meta, session, route, navigate }) {
  return { api, t, named, format: formatters(locale()), meta, session, id: route.id, params: route.params, navigate };
}
