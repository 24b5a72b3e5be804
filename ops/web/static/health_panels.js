// Panels of the page of health.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { jobLink } from "./job_facts.js";
import { empty, moment } from "./parts.js";
import { badge, jobStateBadge } from "./status.js";
import { named, t } from "./words.js";

/** Database and broker, and what waits to be published. */
export const serversPanel = (health, format) => html`
  <section class="panel" aria-labelledby="health-servers">
    <h2 id="health-servers">${t("health.servers")}</h2>
    <dl class="rows">
      ${server(t("health.database"), health.database)}
      ${server(t("health.broker"), health.broker)}
      <div><dt>${t("health.outbox")}</dt><dd>${format.number(health.outbox_waiting)}</dd></div>
    </dl>
  </section>`;

const server = (name, { ok, label, version, detail }) => html`
  <div>
    <dt>${name}</dt>
    <dd>${ok ? badge("good", t("health.ok")) : badge("bad", t("health.down"))} <span class="id">${label}</span> ${version ?? nothing}
      ${detail ? html`<p class="reason">${detail}</p>` : nothing}</dd>
  </div>`;

/** Services with the number of their processes. */
export const servicesPanel = (health, format) => html`
  <section class="panel" aria-labelledby="health-services">
    <h2 id="health-services">${t("health.services")}</h2>
    ${health.services.length ? html`<dl class="rows">${health.services.map((each) => service(each, format))}</dl>` : empty(t("health.not_read"))}
  </section>`;

const service = ({ name, running, since }, format) => html`
  <div>
    <dt>${named("service", name)}</dt>
    <dd>${running ? badge("good", t("health.running", { count: running })) : badge("bad", t("health.none_running"))}
      ${since ? html`<span class="hint">${t("health.since", { time: format.time(since) })}</span>` : nothing}</dd>
  </div>`;

/** Messages that wait, per group and topic. */
export const groupsPanel = (health, format) => html`
  <section class="panel" aria-labelledby="health-groups">
    <h2 id="health-groups">${t("health.groups")}</h2>
    ${health.groups.length ? groupsTable(health.groups, format) : empty(t("health.no_groups"))}
  </section>`;

const groupsTable = (groups, format) => html`
  <div class="table-frame" tabindex="0" role="region" aria-labelledby="health-groups">
    <table class="stacking">
      <caption>${t("health.groups_note")}</caption>
      <thead><tr>
        <th scope="col">${t("col.group")}</th><th scope="col">${t("col.topic")}</th>
        <th scope="col" class="number">${t("col.partitions")}</th><th scope="col" class="number">${t("col.lag")}</th>
      </tr></thead>
      <tbody>${groups.map((each) => html`
        <tr>
          <th scope="row" class="id">${each.group}</th><td data-label=${t("col.topic")}><span class="id">${each.topic}</span></td>
          <td data-label=${t("col.partitions")} class="number">${format.number(each.partitions)}</td><td data-label=${t("col.lag")} class="number">${format.number(each.lag)}</td>
        </tr>`)}</tbody>
    </table>
  </div>`;

/** What fires next, what fired last, and what was missed. */
export const schedulesPanel = (health, format) => html`
  <section class="panel" aria-labelledby="health-schedules">
    <h2 id="health-schedules">${t("health.schedules")}</h2>
    ${health.scheduler?.silent ? html`<p class="callout warn">${silence(health.scheduler, format)}</p>` : nothing}
    ${health.schedules.length ? schedulesTable(health.schedules, format) : empty(health.scheduler ? t("schedule.none") : t("health.not_read"))}
  </section>`;

function silence({ checked_until: looked }, format) {
  const said = t("schedule.silent");
  return looked ? `${said} ${t("schedule.looked", { time: format.time(looked) })}` : said;
}

const schedulesTable = (schedules, format) => html`
  <div class="table-frame" tabindex="0" role="region" aria-labelledby="health-schedules">
    <table class="stacking">
      <caption class="unseen">${t("health.schedules")}</caption>
      <thead><tr>
        <th scope="col">${t("col.schedule")}</th><th scope="col">${t("col.next")}</th><th scope="col">${t("col.last")}</th>
      </tr></thead>
      <tbody>${schedules.map((each) => schedule(each, format))}</tbody>
    </table>
  </div>`;

const schedule = (each, format) => html`
  <tr>
    <th scope="row">${each.name}<br><span class="hint">${named("job_type", each.job_type)}</span></th>
    <td data-label=${t("col.next")}>${each.enabled ? moment(format, each.next_at) : badge("idle", t("schedule.off"))}</td>
    <td data-label=${t("col.last")}>${moment(format, each.last_at)} ${each.last_status ? jobStateBadge(each.last_status) : nothing}
      ${each.last_missed ? badge("warn", t("schedule.missed")) : nothing}
      ${each.last_job_id ? html`<br>${jobLink(each.last_job_id)}` : nothing}</td>
  </tr>`;
