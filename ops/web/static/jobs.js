// The page of jobs: open ones on top, which the event stream moves, and the past ones below.

import { html, nothing, render } from "./vendor/lit-html/lit-html.js";
import { JobStore } from "./job_store.js";
import { openJobs } from "./open_jobs.js";
import { pastJobs } from "./past_jobs.js";
import { tell, tellFailure, whisper } from "./notices.js";
import { failure, liveSign } from "./parts.js";
import { triggerDialog } from "./trigger.js";
import { Trouble } from "./trouble.js";
import { t } from "./words.js";

const PAGE = 20;
const LOOK_AGAIN = 5000;

/** View of all jobs. */
export async function jobsView(root, context) {
  const view = new JobsPage(root, context);
  await view.start();
  return () => view.stop();
}

class JobsPage {
  #store = new JobStore();
  #stream = "live";
  #error = null;
  #broken = false;
  #asking = false;
  #trouble = new Trouble(() => this.#draw());

  constructor(root, context) {
    this.root = root;
    this.context = context;
  }

  async start() {
    await this.#reload();
    this.closeStream = this.context.api.stream("/events", {
      events: { jobs: (documents) => this.#changed(documents), trouble: ({ detail }) => this.#trouble.say(detail) },
      state: (state) => this.#streamIs(state),
    });
    this.timer = setInterval(() => this.#lookForWaiting(), LOOK_AGAIN);
  }

  stop() {
    this.closeStream();
    clearInterval(this.timer);
  }

  #draw() {
    render(this.#template(), this.root);
  }

  #template() {
    const { context } = this;
    return html`
      <header class="view-head">
        <h1 tabindex="-1">${t("jobs.title")}</h1>
        ${liveSign(this.#stream)}
        ${context.session.may.trigger ? html`<button type="button" class="primary" @click=${() => this.#trigger()}>${t("jobs.trigger")}</button>` : nothing}
      </header>
      ${this.#trouble.template()}
      ${this.#error ? failure(this.#error, () => this.#reload()) : nothing}
      ${openJobs(this.#store, context, (jobId) => this.#look(jobId))}
      ${pastJobs(this.#store, context, { after: (jobId) => this.#look(jobId), more: () => this.#more(), filter: (params) => this.#filter(params) })}`;
  }

  async #page(cursor) {
    const { params } = this.context;
    return this.context.api.get("/jobs", { limit: PAGE, cursor, status: params.get("status"), job_type: params.get("type") });
  }

  async #reload() {
    try {
      const page = await this.#page(null);
      this.#store.forgetPast();
      this.#store.takePage(page);
      this.#error = null;
    } catch (error) {
      this.#error = error;
    }
    this.#draw();
  }

  async #more() {
    try {
      this.#store.takePage(await this.#page(this.#store.next));
    } catch (error) {
      tellFailure(error);
    }
    this.#draw();
  }

  async #filter(params) {
    this.context.navigate(params);
    await this.#reload();
  }

  #changed(documents) {
    for (const job of this.#store.takeEvents(documents)) {
      whisper(t("jobs.became", { job: job.job_id, state: this.context.named("job_state", job.status) }));
    }
    this.#draw();
  }

  // What ended while the line was broken is not told again.
  #streamIs(state) {
    this.#stream = state;
    if (state === "live" && this.#broken) this.#catchUp();
    this.#broken = state !== "live";
    this.#draw();
  }

  async #trigger() {
    if (this.#asking) return;
    this.#asking = true;
    const asked = await triggerDialog(this.context).finally(() => { this.#asking = false; });
    if (!asked) return;
    this.#store.expect(asked.job_id, asked.job_type);
    tell(t("trigger.sent", { job: asked.job_id }));
    this.#draw();
  }

  async #catchUp() {
    await Promise.all(this.#store.open.map((job) => this.#look(job.job_id)));
    await this.#reload();
  }

  // A job may begin and end between two messages of the stream.
  #lookForWaiting() {
    this.#store.waiting.forEach((job) => this.#look(job.job_id));
  }

  async #look(jobId) {
    try {
      this.#changed([await this.context.api.get(`/jobs/${encodeURIComponent(jobId)}`)]);
    } catch (error) {
      if (error.status !== 404) tellFailure(error);
    }
  }
}
