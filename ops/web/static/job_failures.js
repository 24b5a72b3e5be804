// Why parts of a job failed, once per kind and reason.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { named, t } from "./words.js";

/** Table of the reasons; nothing where no part failed. */
export function jobFailures(job, format) {
  if (!job.failures?.length) return nothing;
  return html`
    <section aria-labelledby="job-failures" class="panel">
      <h2 id="job-failures">${t("job.failures")}</h2>
      <div class="table-frame" tabindex="0" role="region" aria-labelledby="job-failures">
        <table>
          <caption>${t("job.failures_note")}</caption>
          <thead><tr>
            <th scope="col">${t("col.kind")}</th><th scope="col" class="number">${t("col.chunks")}</th>
            <th scope="col" class="number">${t("col.cells")}</th><th scope="col">${t("col.reason")}</th>
          </tr></thead>
          <tbody>${job.failures.map((each) => row(each, format))}</tbody>
        </table>
      </div>
    </section>`;
}

const row = (failure, format) => html`
  <tr>
    <th scope="row">${named("map.kind", failure.kind)}</th>
    <td class="number">${format.number(failure.chunks)}</td>
    <td class="number">${format.number(failure.cells)}</td>
    <td><p class="reason">${failure.error ?? "–"}</p></td>
  </tr>`;
