// Requests to /api/v1 and its event stream.

const ROOT = new URL("../api/v1/", import.meta.url);
const FIRST_WAIT = 2000;
const LONGEST_WAIT = 30000;

/** What the server refused: `message` and `detail` are its sentence; `status` is 0 where it did not answer. */
export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.detail = detail;
  }
}

/** Address of a path below /api/v1; params that are null, undefined or "" are left out. */
export function address(path, params = {}) {
  const url = new URL(path.replace(/^\//, ""), ROOT);
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

/**
 * Client of the API.
 *
 * @param {object} hooks
 * @param {() => void} hooks.loggedOut Called when an answer is 401, unless the request's option `guest` is set.
 * @param {() => string} hooks.unreachable The sentence for a server that does not answer.
 */
export function apiClient({ loggedOut, unreachable }) {
  const request = async (method, path, { params, body, signal, guest = false } = {}) => {
    const answer = await sent(method, address(path, params), body, signal, unreachable);
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const error = await refusal(answer);
    if (error.status === 401 && !guest) loggedOut();
    throw error;
  };
  const get = (path, params, options) => request("GET", path, { ...options, params });
  return {
    address,
    get,
    post: (path, body = {}, options) => request("POST", path, { ...options, body }),
    delete: (path) => request("DELETE", path, { body: {} }),
    stream: (path, handlers) => stream(address(path), handlers, () => get("/session")),
  };
}

async function sent(method, url, body, signal, unreachable) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(url, { method, headers, body: body && JSON.stringify(body), signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, unreachable());
  }
}

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  const sentence = typeof problem.detail === "string" ? problem.detail : problem.title;
  return new ApiError(answer.status, sentence || `${answer.status} ${answer.statusText}`);
}

/**
 * Server-sent events until closed. The browser connects again by itself after a broken line; after an answer that
 * is no stream this does, less and less often, and asks for the session first, which shows the login where it ended.
 *
 * @param {URL} url
 * @param {{events: Object<string, (data: any) => void>, state: (state: "live"|"reconnecting") => void}} handlers
 * @param {() => Promise<any>} whoAmI
 * @returns {() => void} Closes it.
 */
function stream(url, { events, state }, whoAmI) {
  let source, timer, closed = false;
  let wait = FIRST_WAIT;
  const open = () => {
    source = new EventSource(url);
    source.onopen = () => { wait = FIRST_WAIT; state("live"); };
    source.onerror = () => { state("reconnecting"); if (source.readyState === EventSource.CLOSED) again(); };
    for (const [name, handle] of Object.entries(events)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  };
  const again = () => {
    timer = setTimeout(() => whoAmI().then(() => closed || open(), (error) => error.status === 401 || closed || again()), wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  };
  open();
  return () => { closed = true; clearTimeout(timer); source.close(); };
}
