// The tenants of a weekly job.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { stateBadge } from "./status.js";
import { named, t } from "./words.js";

/** Table of the tenants of a shown job; nothing for other jobs. */
export function jobTenants(job) {
  if (!job.tenants?.length) return nothing;
  return html`
    <section aria-labelledby="job-tenants" class="panel">
      <h2 id="job-tenants">${t("job.tenants")}</h2>
      <div class="table-frame" tabindex="0" role="region" aria-labelledby="job-tenants">
        <table class="stacking">
          <caption class="unseen">${t("job.tenants")}</caption>
          <thead><tr>
            <th scope="col">${t("col.tenant")}</th><th scope="col">${t("col.state")}</th>
            <th scope="col" class="number">${t("col.students")}</th><th scope="col">${t("col.parts")}</th>
            <th scope="col">${t("col.deliveries")}</th>
          </tr></thead>
          <tbody>${repeat(job.tenants, (each) => each.org_id, row)}</tbody>
        </table>
      </div>
    </section>`;
}

const row = (tenant) => html`
  <tr>
    <th scope="row">${tenant.org_id}</th>
    <td data-label=${t("col.state")}>${stateBadge("tenant_state", tenant.state)}${tenant.error ? html`<p class="reason">${tenant.error}</p>` : nothing}</td>
    <td data-label=${t("col.students")} class="number">${t("count.plain", { count: tenant.students })}</td>
    <td data-label=${t("col.parts")}>
      <progress max=${tenant.parts || 1} .value=${tenant.parts_done} aria-label=${t("job.parts_of", { name: tenant.org_id })}></progress>
      ${tenant.parts_done} / ${tenant.parts}
    </td>
    <td data-label=${t("col.deliveries")}>${tenant.deliveries.map(delivery)}</td>
  </tr>`;

// The server says "email sent": channel and state.
function delivery(said) {
  const [channel, state] = said.split(" ");
  return html`<span class="delivery">${named("channel", channel)} ${stateBadge("delivery_state", state)}</span>`;
}
