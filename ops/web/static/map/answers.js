// Answers of /map, kept while the view is open.

import { cellsOf, differenceOf } from "./cells.js";
import { queryOf } from "./download.js";

const KEPT = 8;

/** Cells of the server, and differences of them. */
export class Answers {
  constructor(api, levels) {
    Object.assign(this, { api, levels, kept: new Map(), difference: null });
  }

  /** What a choice shows: the cells of one map or of two, or one difference. */
  async shown(choice) {
    const places = choice.compare === "none" ? [choice] : [choice, choice.other];
    const cells = await Promise.all(places.map((place) => this.cells(choice.risk, place)));
    return choice.compare === "difference" ? [this.minus(...cells)] : cells;
  }

  cells(risk, place) {
    const query = queryOf(risk, place);
    const key = JSON.stringify(query);
    const answer = this.kept.get(key) ?? this.api.get("map", query).then((found) => cellsOf(found, this.levels));
    this.kept.delete(key);
    this.kept.set(key, answer);
    answer.catch(() => this.kept.delete(key));
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return answer;
  }

  minus(first, second) {
    const { of = [] } = this.difference ?? {};
    if (of[0] !== first || of[1] !== second)
      this.difference = { of: [first, second], cells: differenceOf(first, second) };
    return this.difference.cells;
  }
}
