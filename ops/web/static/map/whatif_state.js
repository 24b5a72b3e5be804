// What becomes of a derived scenario: made, then computed by a job.

import { withResults } from "./choice.js";

/** State and actions of the panel. */
export class WhatIf {
  constructor({ api, meta }, choice, draw) {
    Object.assign(this, { api, choice, draw });
    const from = meta.scenarios.find(({ has_climate: has }) => has)?.scenario ?? withResults(meta)[0].scenario;
    this.state = { from, open: false, busy: false, made: null, job: null, error: null };
    this.actions = {
      choose: (name) => {
        this.state.from = name;
      },
      toggle: (open) => {
        this.state.open = open;
      },
      derive: (body) =>
        this.work({ made: null, job: null }, async () => {
          this.state.made = await api.post("scenarios", body);
        }),
      compute: () =>
        this.work({}, async () => {
          this.state.job = (await api.post("jobs", this.trigger())).job_id;
        }),
    };
  }

  trigger() {
    return { job_type: "climate", scenario: this.state.made.scenario, window: this.choice.window };
  }

  async work(changes, act) {
    Object.assign(this.state, { ...changes, busy: true, error: null });
    this.draw();
    try {
      await act();
    } catch (error) {
      this.state.error = error.detail ?? error.message;
    }
    this.state.busy = false;
    this.draw();
  }
}
