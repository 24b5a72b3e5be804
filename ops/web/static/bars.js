// How far a job is: a bar per risk of a climate job, one bar of tenants of a weekly job.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { t } from "./words.js";

/** Bars of a job document with `risk_counts`. */
export function jobBars(job, context) {
  return html`<ul class="bars">${repeat(barsOf(job, context.named), (bar) => bar.name, (bar) => barRow(bar, job, context.format))}</ul>`;
}

function barsOf(job, named) {
  if (job.counted === "tenants") {
    return [{ name: t("bar.tenants"), done: job.processed, of: job.total, failed: job.failed, gaps: null }];
  }
  const counts = new Map((job.risk_counts ?? []).map((each) => [each.risk_type, each]));
  const risks = job.risks?.length ? job.risks : [...counts.keys()];
  return risks.map((risk) => riskBar(named("risk", risk), counts.get(risk), job.reports_per_risk));
}

function riskBar(name, counts, of) {
  return { name, done: counts?.reported ?? 0, of, failed: counts?.failed ?? 0, gaps: counts?.without_number ?? 0 };
}

/** Share (0 to 1) that is done, whole only when nothing is missing; null where the length is not known. */
export function share(done, of) {
  return of ? Math.floor((100 * done) / of) / 100 : null;
}

function barRow(bar, job, format) {
  const label = t("bar.label", { name: bar.name, job: job.job_id });
  return html`
    <li class="bar">
      <span class="bar-name">${bar.name}</span>
      <progress max=${bar.of || 1} .value=${bar.of ? bar.done : 0} aria-label=${label}></progress>
      <span class="bar-percent">${format.percent(share(bar.done, bar.of))}</span>
      <span class="bar-counts">${counts(bar, format)}</span>
    </li>`;
}

function counts(bar, format) {
  return html`
    <span>${format.number(bar.done)} / ${format.number(bar.of)}</span>
    ${bar.gaps ? html`<span>${t("bar.gaps", { count: bar.gaps })}</span>` : nothing}
    ${bar.failed ? html`<span class="text-bad">${t("bar.failed", { count: bar.failed })}</span>` : nothing}`;
}
