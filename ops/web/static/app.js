// The page: who is here, in which language, and which view the address asks for.

import { html, render } from "./vendor/lit-html/lit-html.js";
import { apiClient } from "./api.js";
import { viewContext } from "./context.js";
import { closeDialogs } from "./dialog.js";
import { drawFrame } from "./frame.js";
import { logIn, loginForm, tokenFromAddress } from "./login.js";
import { tellFailure } from "./notices.js";
import { failure } from "./parts.js";
import { FIRST, keepParams, routeOf } from "./router.js";
import { named, preferred, remember, speak, t } from "./words.js";

const LOGIN = "#/login";
const VIEWS = {
  jobs: async () => (await import("./jobs.js")).jobsView,
  job: async () => (await import("./job.js")).jobView,
  map: async () => (await import("./map.js")).mapView,
  tenants: async () => (await import("./tenants.js")).tenantsView,
  health: async () => (await import("./health.js")).healthView,
};
const page = { session: null, meta: null, view: null };
const api = apiClient({ loggedOut: () => page.view === "login" || askWho(), unreachable: () => t("failure.unreachable") });
const actions = {
  speak: async (language) => { remember(language); await speak(language); await show(); },
  logOut: async () => {
    try { await api.delete("/session"); await enter(); } catch (error) { tellFailure(error); }
  },
};
let tearDown = () => {};
let drawing = 0;

await speak(preferred());
await start();

async function start() {
  addEventListener("hashchange", goOn);
  await enterByAddress();
}

// Who leaves the login without a token may still be somebody: a visitor, or who was logged in before.
function goOn() {
  if (location.hash.startsWith("#token=")) return enterByAddress();
  return page.session || location.hash === LOGIN ? show({ focus: true }) : enter({ focus: true });
}

async function enterByAddress() {
  const token = tokenFromAddress();
  try {
    if (token) await logIn(api, token);
  } catch (error) {
    return askWho(error.message);
  }
  return enter();
}

async function enter({ focus = false } = {}) {
  try {
    page.session = await api.get("/session", {}, { guest: true });
    page.meta = await api.get("/meta");
    await show({ focus });
  } catch (error) {
    if (error.status === 401) askWho();
    else showFailure(error, enter);
  }
}

/** Draws the view of the address anew; `focus` puts the focus on its title, as after a link. */
async function show({ focus = false } = {}) {
  if (!page.session || location.hash === LOGIN) return askWho();
  if (!location.hash) history.replaceState(null, "", FIRST);
  const turn = (drawing += 1);
  const route = routeOf(location.hash);
  page.view = route.view;
  await leave();
  const root = freshView();
  document.title = `${named("view", route.view)} · riskflow`;
  const navigate = (params) => keepParams(route, params);
  try {
    const down = await draw(route, root, viewContext({ api, meta: page.meta, session: page.session, route, navigate }));
    if (turn !== drawing) return down();
    tearDown = down;
    if (focus) root.querySelector("h1")?.focus();
  } catch (error) {
    if (turn === drawing && error.status !== 401) showFailure(error, show);
  }
  return undefined;
}

async function draw(route, root, context) {
  const name = route.view === "jobs" && route.id !== null ? "job" : route.view;
  if (!(name in VIEWS)) throw new Error(t("failure.no_view", { address: location.hash }));
  return (await VIEWS[name]())(root, context);
}

async function leave() {
  const down = tearDown;
  tearDown = () => {};
  closeDialogs();
  await down();
}

// A view's root is its own, so that nothing that a view left behind is drawn over.
function freshView() {
  drawFrame(document.getElementById("page"), page, actions);
  const root = document.createElement("div");
  root.className = `view view-${page.view}`;
  document.getElementById("view").replaceChildren(root);
  return root;
}

function showFailure(error, again) {
  const root = freshView();
  render(html`<h1 tabindex="-1">${t("failure.title")}</h1>${failure(error, () => again())}`, root);
}

async function askWho(refusal = null) {
  drawing += 1;
  Object.assign(page, { session: null, view: "login" });
  await leave();
  document.title = `${t("login.title")} · riskflow`;
  loginForm(freshView(), api, entered, refusal);
}

function entered() {
  if (location.hash === LOGIN) history.replaceState(null, "", FIRST);
  return enter({ focus: true });
}
