// Jobs that wait or run, each with its bars.

import { html } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { jobBars } from "./bars.js";
import { jobButtons } from "./job_actions.js";
import { jobLink, standing, subject } from "./job_facts.js";
import { empty, moment } from "./parts.js";
import { badge, jobBadge } from "./status.js";
import { named, t } from "./words.js";

/** Section of the open jobs of a store, with those that are not accepted yet. */
export function openJobs(store, context, after) {
  const { open, waiting } = store;
  return html`
    <section aria-labelledby="open-jobs">
      <h2 id="open-jobs">${t("jobs.open")}</h2>
      ${open.length + waiting.length ? "" : empty(t("jobs.none_open"))}
      <div class="cards">
        ${repeat(waiting, (job) => job.job_id, waitingCard)}
        ${repeat(open, (job) => job.job_id, (job) => openCard(job, context, after))}
      </div>
    </section>`;
}

const waitingCard = (job) => html`
  <article class="card" aria-label=${job.job_id}>
    <header class="card-head">
      <h3>${named("job_type", job.job_type)}</h3>${badge("idle", t("jobs.waiting"))}
    </header>
    <p class="facts"><span class="id">${job.job_id}</span></p>
  </article>`;

const openCard = (job, context, after) => html`
  <article class="card" aria-label=${job.job_id}>
    <header class="card-head">
      <h3>${named("job_type", job.job_type)}</h3>
      <span class="subject">${subject(job, context.format)}</span>
      ${jobBadge(job)}
      <span class="push">${jobButtons(job, context, after)}</span>
    </header>
    <p class="facts">
      ${jobLink(job.job_id)}
      <span>${t("job.asked_by", { name: job.requested_by ?? "–" })}</span>
      <span>${moment(context.format, job.started_at)}</span>
    </p>
    <p class="standing">${standing(job, context.format)}</p>
    ${jobBars(job, context)}
  </article>`;
