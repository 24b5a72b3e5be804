// The jobs that the page knows: pages of the list, and what the event stream says of them since.

const OPEN = new Set(["pending", "running"]);

export const isOpen = (job) => OPEN.has(job.status);

/** Whether the server would resume it: nothing can be done for a refused job, a whole one, or tenants that have ended. */
export function isResumable(job) {
  if (job.refused || isOpen(job) || job.status === "completed" || !job.job_seq) return false;
  return job.status === "cancelled" || job.job_type !== "weekly";
}

/** Jobs by id, those that were asked for and are not accepted yet, and where the list goes on. */
export class JobStore {
  #jobs = new Map();
  #waiting = new Map();
  next = null;

  /** Take in a page of the list. A document of the stream keeps its counts per risk, which the list has not. */
  takePage({ items, next }) {
    items.forEach((each) => this.#take(each));
    this.next = next;
  }

  /** Take in what the stream says; gives the jobs whose status has changed. */
  takeEvents(documents) {
    const changed = documents.filter((each) => this.#jobs.get(each.job_id)?.status !== each.status);
    documents.forEach((each) => this.#take(each));
    return changed;
  }

  /** Forget the past jobs, as before another filter; the open ones stay, which the stream tells of. */
  forgetPast() {
    this.past.forEach((each) => this.#jobs.delete(each.job_id));
    this.next = null;
  }

  expect(jobId, jobType) {
    if (!this.#jobs.has(jobId)) this.#waiting.set(jobId, { job_id: jobId, job_type: jobType });
  }

  get waiting() { return [...this.#waiting.values()]; }

  /** In the order in which they run. */
  get open() { return [...this.#jobs.values()].filter(isOpen).sort((a, b) => a.job_seq - b.job_seq); }

  /** The newest first. */
  get past() { return [...this.#jobs.values()].filter((each) => !isOpen(each)).sort(newestFirst); }

  #take(job) {
    this.#waiting.delete(job.job_id);
    this.#jobs.set(job.job_id, { ...this.#jobs.get(job.job_id), ...job });
  }
}

function newestFirst(a, b) {
  return (b.started_at ?? "9").localeCompare(a.started_at ?? "9");
}
