// The table of jobs that have ended.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { jobButtons } from "./job_actions.js";
import { counts, jobLink, subject } from "./job_facts.js";
import { empty, moment, moreButton } from "./parts.js";
import { jobBadge } from "./status.js";
import { named, t } from "./words.js";

const STATUSES = ["completed", "completed_with_failures", "failed", "cancelled"];
const CLIMATE = ["climate", "probability", "hazard"];

/** Section of the past jobs of a store; `after`, `more` and `filter` are called by its buttons. */
export function pastJobs(store, context, { after, more, filter }) {
  const shown = store.past.filter((job) => fits(job, context.params));
  return html`
    <section aria-labelledby="past-jobs">
      <header class="section-head">
        <h2 id="past-jobs">${t("jobs.past")}</h2>
        ${filters(context, filter)}
      </header>
      ${shown.length ? table(shown, context, after) : empty(t("jobs.none_past"))}
      ${moreButton(store.next, more)}
    </section>`;
}

/** Job types of a person: weekly jobs, which name their tenants, are for those who see all tenants. */
export const jobTypes = ({ tenants }) => (tenants.includes("*") ? [...CLIMATE, "weekly"] : CLIMATE);

// The stream also tells of jobs that the filter leaves out.
function fits(job, params) {
  return [["status", job.status], ["type", job.job_type]].every(([name, value]) => !params.get(name) || params.get(name) === value);
}

const filters = ({ params, session }, filter) => html`
  <div class="filters">
    ${choice(t("jobs.filter_status"), STATUSES, (status) => named("job_state", status), params.get("status"), (status) => filter({ status }))}
    ${choice(t("jobs.filter_type"), jobTypes(session), (type) => named("job_type", type), params.get("type"), (type) => filter({ type }))}
  </div>`;

const choice = (label, values, word, chosen, choose) => html`
  <label>${label}
    <select @change=${(event) => choose(event.target.value)}>
      <option value="">${t("list.all")}</option>
      ${values.map((value) => html`<option value=${value} ?selected=${value === chosen}>${word(value)}</option>`)}
    </select>
  </label>`;

const table = (jobs, context, after) => html`
  <div class="table-frame" tabindex="0" role="region" aria-labelledby="past-jobs">
    <table class="stacking jobs">
      <caption class="unseen">${t("jobs.past")}</caption>
      <thead><tr>
        <th scope="col">${t("col.job")}</th><th scope="col">${t("col.status")}</th><th scope="col">${t("col.subject")}</th>
        <th scope="col">${t("col.asked_by")}</th><th scope="col">${t("col.started")}</th>
        <th scope="col" class="number">${t("col.duration")}</th><th scope="col" class="number">${t("col.counts")}</th>
        <th scope="col"><span class="unseen">${t("col.actions")}</span></th>
      </tr></thead>
      <tbody>${repeat(jobs, (job) => job.job_id, (job) => row(job, context, after))}</tbody>
    </table>
  </div>`;

const row = (job, context, after) => html`
  <tr>
    <th scope="row">${named("job_type", job.job_type)}<br>${jobLink(job.job_id)}</th>
    <td class="status" data-label=${t("col.status")}>${jobBadge(job)}${job.error_message ? html`<p class="reason">${job.error_message}</p>` : nothing}</td>
    <td class="subject-cell" data-label=${t("col.subject")}>${subject(job, context.format)}</td>
    <td data-label=${t("col.asked_by")}>${job.requested_by ?? "–"}</td>
    <td data-label=${t("col.started")}>${moment(context.format, job.started_at)}</td>
    <td data-label=${t("col.duration")} class="number">${context.format.duration(job.seconds)}</td>
    <td data-label=${t("col.counts")} class="number">${job.refused ? "–" : counts(job, context.format)}</td>
    <td class="actions">${jobButtons(job, context, after)}</td>
  </tr>`;
