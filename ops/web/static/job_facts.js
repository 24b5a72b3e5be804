// What is said of a job in few words: what it computes, its place in the queue, the time it takes.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { badge } from "./status.js";
import { hashOf } from "./router.js";
import { t } from "./words.js";

/** Link to the job's page. */
export const jobLink = (jobId) => html`<a href=${hashOf("jobs", jobId)} class="id">${jobId}</a>`;

/** What it computes: scenario and years, or the date of a weekly job. */
export function subject(job, format) {
  if (job.report_date) return format.day(job.report_date);
  return [job.scenario, job.window && format.window(job.window)].filter(Boolean).join(" · ");
}

/** How an open job stands; a line that keeps its height when there is nothing to say yet. */
export function standing(job, format) {
  return html`
    <span class="percent">${format.percent(job.percent === null ? null : job.percent / 100)}</span>
    <span>${left(job, format)}</span>
    ${job.jobs_ahead ? html`<span>${t("job.ahead", { count: job.jobs_ahead })}</span>` : nothing}
    ${job.stalled_since ? badge("warn", t("job.stalled", { time: format.time(job.stalled_since) })) : nothing}`;
}

function left(job, format) {
  return job.seconds_left === null ? t("job.left_unknown") : t("job.left", { time: format.duration(job.seconds_left) });
}

/** How much has reported, and how much of it failed. */
export function counts(job, format) {
  const done = `${format.number(job.processed)} / ${format.number(job.total)}`;
  if (!job.failed) return done;
  return html`${done}<br><span class="text-bad">${t("bar.failed", { count: job.failed })}</span>`;
}
