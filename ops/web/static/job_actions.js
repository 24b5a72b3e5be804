// Cancel and resume, and the buttons for them.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { confirmed } from "./dialog.js";
import { isOpen, isResumable } from "./job_store.js";
import { tell, tellFailure } from "./notices.js";
import { whileShut } from "./parts.js";
import { t } from "./words.js";

/** Buttons of a job where the person may use them; `after` is called with its id when one has done its work. */
export function jobButtons(job, context, after) {
  if (!context.session.may.trigger) return nothing;
  if (isOpen(job)) return button(t("job.cancel"), job, () => cancel(job, context.api, after));
  const resume = (event) => whileShut(event, () => act("resume", job, context.api, after));
  return isResumable(job) ? button(t("job.resume"), job, resume) : nothing;
}

const button = (word, job, run) => html`
  <button type="button" class="slim" aria-label="${word}: ${job.job_id}" @click=${run}>${word}</button>`;

async function cancel(job, api, after) {
  const sure = await confirmed(t("cancel.title"), t("cancel.ask", { job: job.job_id }), t("cancel.yes"));
  if (sure) await act("cancel", job, api, after);
}

async function act(action, job, api, after) {
  try {
    const answer = await api.post(`/jobs/${encodeURIComponent(job.job_id)}/${action}`);
    tell(answer.sentence);
    await after(job.job_id);
    keepFocus();
  } catch (error) {
    tellFailure(error);
  }
}

// The button that was pressed is gone with what it could do.
function keepFocus() {
  if (document.activeElement === document.body) document.querySelector("#view h1")?.focus();
}
