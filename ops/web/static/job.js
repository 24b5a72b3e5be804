// The page of one job.

import { html, nothing, render } from "./vendor/lit-html/lit-html.js";
import { jobBars } from "./bars.js";
import { jobButtons } from "./job_actions.js";
import { standing, subject } from "./job_facts.js";
import { isOpen } from "./job_store.js";
import { jobFailures } from "./job_failures.js";
import { jobResults } from "./job_results.js";
import { jobTenants } from "./job_tenants.js";
import { failure, liveSign, moment } from "./parts.js";
import { hashOf } from "./router.js";
import { jobBadge } from "./status.js";
import { Trouble } from "./trouble.js";
import { named, t } from "./words.js";

/** View of the job whose id is in the address. */
export async function jobView(root, context) {
  const view = new JobPage(root, context);
  await view.start();
  return () => view.stop();
}

class JobPage {
  #job = null;
  #error = null;
  #stream = "live";
  #looking = false;
  #trouble = new Trouble(() => this.#draw());

  constructor(root, context) {
    this.root = root;
    this.context = context;
    this.path = `/jobs/${encodeURIComponent(context.id)}`;
  }

  async start() {
    await this.#look();
    this.closeStream = this.context.api.stream("/events", {
      events: {
        jobs: (documents) => documents.some((each) => each.job_id === this.context.id) && this.#look(),
        trouble: ({ detail }) => this.#trouble.say(detail),
      },
      state: (state) => { this.#stream = state; state === "live" && this.#job && isOpen(this.#job) ? this.#look() : this.#draw(); },
    });
  }

  stop() {
    this.closeStream();
  }

  // The stream has neither tenants nor what newer jobs have replaced.
  async #look() {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.#job = await this.context.api.get(this.path);
      this.#error = null;
    } catch (error) {
      this.#error = error;
    }
    this.#looking = false;
    this.#draw();
  }

  #draw() {
    render(this.#template(), this.root);
  }

  #template() {
    const back = html`<p class="back"><a href="#/jobs">← ${t("job.back")}</a></p>`;
    if (this.#error) return html`${back}<h1 tabindex="-1">${this.context.id}</h1>${failure(this.#error, () => this.#look())}`;
    const job = this.#job;
    return html`
      ${back}
      <header class="view-head">
        <h1 tabindex="-1">${named("job_type", job.job_type)} <span class="subject">${subject(job, this.context.format)}</span></h1>
        ${jobBadge(job)} ${isOpen(job) ? liveSign(this.#stream) : nothing}
        <span class="push">${jobButtons(job, this.context, () => this.#look())}</span>
      </header>
      ${this.#trouble.template()}
      ${job.error_message ? html`<p class="callout bad"><strong>${t("job.error")}</strong> ${job.error_message}</p>` : nothing}
      ${isWhole(job) || job.refused ? nothing : progress(job, this.context)}
      ${isOpen(job) ? nothing : jobResults(job, this.context)}
      ${jobFailures(job, this.context.format)}
      ${jobTenants(job)}
      ${facts(job, this.context.format)}`;
  }
}

const isWhole = (job) => !isOpen(job) && job.total > 0 && job.processed === job.total;

const progress = (job, context) => html`
  <section aria-labelledby="job-progress" class="panel">
    <h2 id="job-progress">${t("job.progress")}</h2>
    ${isOpen(job) ? html`<p class="standing">${standing(job, context.format)}</p>` : nothing}
    ${jobBars(job, context)}
  </section>`;

function facts(job, format) {
  const said = [
    [t("fact.job_id"), html`<span class="id">${job.job_id}</span>`],
    [t("col.asked_by"), job.requested_by],
    [t("col.started"), moment(format, job.started_at)],
    [t("fact.completed"), moment(format, job.completed_at)],
    [t("col.duration"), format.duration(job.seconds)],
    [t("fact.total"), t(`size.${job.counted}`, { count: job.total })],
    [t("fact.chunks"), `${format.number(job.chunks_done)} / ${format.number(job.chunks_total)}`],
    [t("fact.success"), job.success_rate === null ? null : format.percent(job.success_rate / 100, 1)],
    [t("fact.superseded"), job.superseded ? format.number(job.superseded) : null],
    [t("fact.cancelled_by"), job.cancelled_by],
    [t("fact.resumed_by"), job.resumed_by && html`${job.resumed_by}, ${moment(format, job.resumed_at)}`],
    [t("fact.letters"), html`<a href=${hashOf("health", null, { job: job.job_id })}>${t("fact.letters_link")}</a>`],
  ];
  return html`
    <section aria-labelledby="job-facts" class="panel">
      <h2 id="job-facts">${t("job.facts")}</h2>
      <dl class="facts-list">${said.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    </section>`;
}
