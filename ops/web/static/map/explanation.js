// What is behind the chosen cell's number: asked of the server, and which of two compared scenarios it is of.

import { queryOf } from "./download.js";

/** The question that the panel shows, and its answer. */
export class Explanation {
  constructor({ api, figures }, draw) {
    Object.assign(this, { api, figures, draw, state: null });
  }

  /** Another question: the former answer goes. `side` is 1 for the compared scenario, else 0. */
  turnTo(choice, side = this.state?.side ?? 0) {
    const at = choice.compare !== "none" && side === 1 ? choice.other : choice;
    const asked = { risk: choice.risk, scenario: at.scenario, window: at.window };
    const place = choice.cell ? this.figures.place(...choice.cell) : "";
    this.state = {
      side: at === choice ? 0 : 1,
      cell: choice.cell,
      asked,
      place,
      found: null,
      error: null,
      busy: false,
    };
  }

  /** Asks the server; with `uncertainty` for the band of the loss too, else only where the stored number has one. */
  async ask(uncertainty = false) {
    const { state } = this;
    const [latitude, longitude] = state.cell;
    const query = { latitude, longitude, ...queryOf(state.asked.risk, state.asked), ...(uncertainty ? { uncertainty } : {}) };
    Object.assign(state, { busy: true, error: null });
    this.draw();
    // An answer that comes after the next question is of a state that nobody looks at.
    try {
      state.found = await this.api.get("explain", query);
    } catch (error) {
      state.error = error.detail ?? error.message;
    }
    state.busy = false;
    this.draw();
  }
}
