// One tenant: its last report, and its earlier ones on demand.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { jobLink } from "./job_facts.js";
import { moment, moreButton } from "./parts.js";
import { stateBadge } from "./status.js";
import { named, t } from "./words.js";

/**
 * Card of a tenant.
 *
 * @param {object} tenant Item of GET /tenants.
 * @param {{items: object[], next: string|null}|undefined} history Its earlier reports where they were asked for.
 * @param {object} context What every view is given.
 * @param {(cursor: string|null) => void} earlier Asks for earlier reports.
 */
export const tenantCard = (tenant, history, { format, session }, earlier) => html`
  <article class="card" aria-labelledby="tenant-${tenant.org_id}">
    <header class="card-head">
      <h2 id="tenant-${tenant.org_id}">${tenant.org_name ?? tenant.org_id}</h2>
      <span class="subject"><span class="id">${tenant.org_id}</span> · ${format.day(tenant.report_date)}</span>
      ${tenant.state ? stateBadge("tenant_state", tenant.state) : html`<span class="subject">${t("tenants.no_report")}</span>`}
      <span class="push links">${links(tenant)}</span>
    </header>
    ${tenant.error ? html`<p class="callout bad">${tenant.error}</p>` : nothing}
    ${tenant.report_date ? html`${figures(tenant, format)}${deliveries(tenant, format)}` : nothing}
    ${tenant.job_id ? html`<p class="facts">${t("tenants.by_job")} ${jobOf(tenant, session)}</p>` : nothing}
    ${past(tenant, history, format, earlier)}
  </article>`;

// A weekly job names all its tenants, so its page is for those who see all.
const jobOf = ({ job_id: id }, session) => (session.tenants.includes("*") ? jobLink(id) : html`<span class="id">${id}</span>`);

function links({ org_id: id, org_name: name, report_date: date, report_url: report, csv_url: csv }) {
  const of = `${name ?? id}, ${date}`;
  return html`
    ${report ? html`<a href=${report} target="_blank" rel="noopener" aria-label="${t("tenants.report")}: ${of}, ${t("tenants.new_tab")}">${t("tenants.report")} ↗</a>` : nothing}
    ${csv ? html`<a href=${csv} download aria-label="CSV: ${of}">CSV</a>` : nothing}`;
}

const figures = (tenant, format) => html`
  <dl class="figures">
    ${figure(t("level.crit"), tenant.crit, "crit", change(tenant.crit, tenant.crit_before, format))}
    ${figure(t("level.warn"), tenant.warn, "warn", change(tenant.warn, tenant.warn_before, format))}
    ${figure(t("level.ok"), tenant.ok, "ok", nothing)}
    ${figure(t("level.insufficient"), tenant.insufficient, "none", nothing)}
    ${figure(t("col.students"), tenant.students, "all", nothing)}
  </dl>`;

const figure = (name, count, kind, change) => html`
  <div class="figure ${kind}"><dt>${name}</dt><dd><b>${count === null ? "–" : t("count.plain", { count })}</b> ${change}</dd></div>`;

// More students at risk is the worse, which the sign says beside the colour.
function change(now, before, format) {
  if (now === null || before === null) return html`<span class="change" title=${t("change.unknown")}>${t("change.none")}</span>`;
  const difference = now - before;
  const kind = difference > 0 ? "text-bad" : difference < 0 ? "text-good" : "";
  return html`<span class="change ${kind}" title=${t("change.before", { count: before })}>
    ${difference > 0 ? "▲" : difference < 0 ? "▼" : "="} ${format.change(difference)} <span class="unseen">${t("change.before", { count: before })}</span></span>`;
}

function deliveries(tenant, format) {
  if (!tenant.deliveries.length) return nothing;
  return html`<ul class="deliveries" aria-label=${t("col.deliveries")}>${tenant.deliveries.map((each) => delivery(each, format))}</ul>`;
}

const delivery = (each, format) => html`
  <li>
    <b>${named("channel", each.channel)}</b> ${stateBadge("delivery_state", each.state)}
    ${each.sent_at ? moment(format, each.sent_at) : nothing}
    ${each.attempts > 1 ? html`<span>${t("delivery.attempts", { count: each.attempts })}</span>` : nothing}
    ${each.next_try_at ? html`<span>${t("delivery.next", { time: format.time(each.next_try_at) })}</span>` : nothing}
    ${each.detail ? html`<span class="reason">${each.detail}</span>` : nothing}
  </li>`;

function past(tenant, history, format, earlier) {
  if (!tenant.report_date) return nothing;
  const opened = (event) => event.target.open && !history && earlier(null);
  return html`
    <details @toggle=${opened}>
      <summary>${t("tenants.earlier")}</summary>
      ${history ? pastTable(tenant, history, format, earlier) : html`<p class="hint">${t("list.loading")}</p>`}
    </details>`;
}

const pastTable = (tenant, history, format, earlier) => html`
  <div class="table-frame" tabindex="0" role="region" aria-label="${t("tenants.earlier")}: ${tenant.org_name ?? tenant.org_id}">
    <table>
      <caption class="unseen">${t("tenants.earlier")}: ${tenant.org_name ?? tenant.org_id}</caption>
      <thead><tr>
        <th scope="col">${t("col.date")}</th><th scope="col">${t("col.state")}</th><th scope="col" class="number">${t("level.crit")}</th>
        <th scope="col" class="number">${t("level.warn")}</th><th scope="col" class="number">${t("level.ok")}</th>
        <th scope="col" class="number">${t("level.insufficient")}</th><th scope="col">${t("col.deliveries")}</th>
        <th scope="col"><span class="unseen">${t("col.actions")}</span></th>
      </tr></thead>
      <tbody>${repeat(history.items, (each) => each.report_date, (each) => pastRow(each, format))}</tbody>
    </table>
  </div>
  ${history.items.length ? nothing : html`<p class="empty">${t("tenants.no_earlier")}</p>`}
  ${moreButton(history.next, () => earlier(history.next))}`;

const pastRow = (report, format) => html`
  <tr>
    <th scope="row">${format.day(report.report_date)}</th><td>${stateBadge("tenant_state", report.state)}</td>
    ${["crit", "warn", "ok", "insufficient"].map((level) => html`<td class="number">${format.number(report[level])}</td>`)}
    <td>${report.deliveries.map((each) => html`<span class="delivery">${named("channel", each.channel)} ${stateBadge("delivery_state", each.state)}</span>`)}</td>
    <td class="links">${links(report)}</td>
  </tr>`;
