// The dialog that asks for a job.

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { dialogHead, openDialog } from "./dialog.js";
import { jobTypes } from "./past_jobs.js";
import { triggerOf } from "./trigger_message.js";
import { climateFields, weeklyFields } from "./trigger_fields.js";
import { named, t } from "./words.js";

/** Ask for a job; resolves to its `job_id` and `job_type` once the server has taken it, undefined where the person left. */
export async function triggerDialog(context) {
  const tenants = await tenantsOf(context);
  return openDialog((draw, close) => {
    const form = { jobType: "climate", error: null, busy: false };
    const choose = (event) => { form.jobType = event.target.value; form.error = null; draw(); };
    const submit = (event) => { event.preventDefault(); send(event.target, form, context.api, draw, close); };
    return () => template(form, context, tenants, { choose, submit, close });
  }, "wide");
}

async function tenantsOf({ api, session }) {
  if (!session.may.tenants) return [];
  return (await api.get("/tenants").catch(() => ({ items: [] }))).items;
}

async function send(element, form, api, draw, close) {
  Object.assign(form, { busy: true, error: null });
  draw();
  try {
    const message = triggerOf(form.jobType, new FormData(element));
    const { job_id: jobId } = await api.post("/jobs", message);
    close({ job_id: jobId, job_type: form.jobType });
  } catch (error) {
    Object.assign(form, { busy: false, error: error.message });
    draw();
  }
}

const template = (form, context, tenants, { choose, submit, close }) => html`
  <form @submit=${submit} aria-busy=${form.busy}>
    ${dialogHead(t("trigger.title"), close)}
    <div class="dialog-body">
      <fieldset class="segments">
        <legend>${t("trigger.job_type")}</legend>
        ${jobTypes(context.session).map((type) => segment(type, form.jobType, choose))}
      </fieldset>
      <p class="hint">${named("job_type_note", form.jobType)}</p>
      ${form.jobType === "weekly" ? weeklyFields(tenants) : climateFields(context)}
      <div role="alert">${form.error ? html`<p class="callout bad">${form.error}</p>` : nothing}</div>
    </div>
    <footer class="dialog-foot">
      <button type="button" @click=${() => close()}>${t("dialog.back")}</button>
      <button type="submit" class="primary" ?disabled=${form.busy}>${t("trigger.send")}</button>
    </footer>
  </form>`;

const segment = (type, chosen, choose) => html`
  <label><input type="radio" name="job_type" value=${type} ?checked=${type === chosen} ?autofocus=${type === chosen} @change=${choose}><span>${named("job_type", type)}</span></label>`;
