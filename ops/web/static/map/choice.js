// What the map shows, as the page's address keeps it.

export const QUANTITIES = ["aal", "worst_bin", "hazard_level", "hazard_score"];
export const COMPARISONS = ["none", "side", "difference"];

/** Scenarios that have results in some window. */
export const withResults = (meta) => meta.scenarios.filter(({ windows }) => windows.length > 0);

export const sameWindow = (one, other) => one.start === other.start && one.end === other.end;

/** The entry of /meta of a scenario; undefined where there is none of that name. */
export const scenarioOf = (meta, name) => meta.scenarios.find(({ scenario }) => scenario === name);

/**
 * The choice that an address asks for; what it leaves open is the server's default where that has results.
 *
 * @param {object} meta GET /meta; at least one scenario has results.
 * @param {URLSearchParams} params
 */
export function choiceOf(meta, params) {
  const { scenario, window } = placeOf(meta, params, ["scenario", "start", "end"], meta.defaults.scenario);
  return {
    risk: params.get("risk") ?? firstRisk(meta, scenario, window),
    scenario,
    window,
    quantity: oneOf(QUANTITIES, params.get("quantity")),
    compare: oneOf(COMPARISONS, params.get("compare")),
    other: placeOf(meta, params, ["with", "with_start", "with_end"], otherThan(meta, scenario)),
    cell: numbersOf(params.get("cell"), 2),
    camera: numbersOf(params.get("at"), 3),
    explained: params.get("panel") === "explain",
    table: params.get("show") === "table",
  };
}

/** The parameters of a choice, for the address; null where the default is meant. */
export function paramsOf(choice) {
  const compared = choice.compare !== "none";
  return {
    risk: choice.risk,
    scenario: choice.scenario,
    start: choice.window.start,
    end: choice.window.end,
    quantity: choice.quantity,
    compare: compared ? choice.compare : null,
    with: compared ? choice.other.scenario : null,
    with_start: compared ? choice.other.window.start : null,
    with_end: compared ? choice.other.window.end : null,
    cell: choice.cell ? choice.cell.join(",") : null,
    at: choice.camera ? choice.camera.join(",") : null,
    panel: choice.cell && choice.explained ? "explain" : null,
    show: choice.table ? "table" : null,
  };
}

/** The window of a scenario that is as near as its results allow to the one wanted. */
export function windowOf(meta, scenario, wanted) {
  const windows = scenarioOf(meta, scenario)?.windows ?? [];
  return windows.find((each) => sameWindow(each, wanted)) ?? windows[0] ?? wanted;
}

function placeOf(meta, params, [name, start, end], byDefault) {
  const scenario = params.get(name) ?? (hasResults(meta, byDefault) ? byDefault : withResults(meta)[0].scenario);
  const asked = { start: Number(params.get(start)), end: Number(params.get(end)) };
  const { start: first, end: last } = asked.start && asked.end ? asked : windowOf(meta, scenario, meta.defaults.window);
  return { scenario, window: { start: first, end: last } };
}

const hasResults = (meta, name) => withResults(meta).some(({ scenario }) => scenario === name);

function otherThan(meta, name) {
  return (withResults(meta).find(({ scenario }) => scenario !== name) ?? withResults(meta)[0]).scenario;
}

function firstRisk(meta, scenario, window) {
  const { risks = [] } = (scenarioOf(meta, scenario)?.windows ?? []).find((each) => sameWindow(each, window)) ?? {};
  return (meta.risks.find(({ risk_type }) => risks.includes(risk_type)) ?? meta.risks[0]).risk_type;
}

const oneOf = (allowed, asked) => (allowed.includes(asked) ? asked : allowed[0]);

function numbersOf(text, count) {
  const numbers = (text ?? "").split(",").map(Number);
  return text && numbers.length === count && numbers.every(Number.isFinite) ? numbers : null;
}
