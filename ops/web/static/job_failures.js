// Why parts of a job failed, once per kind and reason.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { tablePanel } from "./parts.js";
import { named, t } from "./words.js";

/** Table of the reasons; nothing where no part failed. */
export function jobFailures(job, format) {
  if (!job.failures?.length) return nothing;
  return tablePanel("job-failures", {
    title: t("job.failures"),
    note: t("job.failures_note"),
    heads: html`
      <th scope="col">${t("col.kind")}</th><th scope="col" class="number">${t("col.chunks")}</th>
      <th scope="col" class="number">${t("col.cells")}</th><th scope="col">${t("col.reason")}</th>`,
    rows: job.failures.map((each) => row(each, format)),
  });
}

const row = (failure, format) => html`
  <tr>
    <th scope="row">${named("map.kind", failure.kind)}</th>
    <td class="number">${format.number(failure.chunks)}</td>
    <td class="number">${format.number(failure.cells)}</td>
    <td><p class="reason">${failure.error ?? "–"}</p></td>
  </tr>`;
