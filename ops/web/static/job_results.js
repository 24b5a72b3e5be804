// The risks of a job that has ended: what reported, what has no number, what failed, and where each is looked at.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { tablePanel } from "./parts.js";
import { hashOf } from "./router.js";
import { named, t } from "./words.js";

/** Table of the counts of each risk; nothing for a weekly job. */
export function jobResults(job, context) {
  if (!job.risk_counts?.length) return nothing;
  return tablePanel("job-risks", {
    title: t("job.risks"),
    note: t("job.risks_note"),
    heads: html`
      <th scope="col">${t("col.risk")}</th><th scope="col" class="number">${t("col.reported")}</th>
      <th scope="col" class="number">${t("col.gaps")}</th><th scope="col" class="number">${t("col.failed")}</th>
      <th scope="col"><span class="unseen">${t("col.actions")}</span></th>`,
    rows: job.risk_counts.map((each) => row(each, job, context.format)),
  });
}

function row(counts, job, format) {
  const name = named("risk", counts.risk_type);
  return html`
    <tr>
      <th scope="row">${name}</th>
      <td class="number">${format.number(counts.reported)}</td>
      <td class="number">${format.number(counts.without_number)}</td>
      <td class="number ${counts.failed ? "text-bad" : ""}">${format.number(counts.failed)}</td>
      <td class="actions">${counts.reported ? html`<a href=${mapOf(counts, job)} aria-label="${t("job.map")}: ${name}">${t("job.map")}</a>` : nothing}</td>
    </tr>`;
}

function mapOf(counts, job) {
  return hashOf("map", null, { risk: counts.risk_type, scenario: job.scenario, start: job.window?.start, end: job.window?.end });
}
