// States as a sign, a word and a colour.

import { html } from "./vendor/lit-html/lit-html.js";
import { named } from "./words.js";

const KINDS = {
  job_state: {
    pending: "idle", running: "busy", completed: "good", completed_with_failures: "warn", failed: "bad",
    cancelled: "idle", refused: "bad",
  },
  tenant_state: { pending: "idle", stored: "busy", rendered: "busy", delivered: "good", no_data: "warn", failed: "bad" },
  delivery_state: {
    pending: "idle", sending: "busy", retrying: "warn", sent: "good", kept: "good", cancelled: "idle", refused: "bad",
    failed: "bad", unknown: "warn", no_data: "warn",
  },
};
const SIGNS = { idle: "○", busy: "▸", good: "✓", warn: "!", bad: "✕" };

/** Badge of a kind: idle, busy, good, warn or bad. */
export const badge = (kind, word) => html`
  <span class="badge ${kind}"><span class="sign" aria-hidden="true">${SIGNS[kind]}</span>${word}</span>`;

/** Badge of a state; `group` is job_state, tenant_state or delivery_state. */
export function stateBadge(group, state) {
  return badge(KINDS[group][state] ?? "idle", named(group, state));
}

/** Badge of a job; a refused one has the status failed. */
export const jobBadge = (job) => jobStateBadge(job.refused ? "refused" : job.status);

export const jobStateBadge = (status) => stateBadge("job_state", status);
