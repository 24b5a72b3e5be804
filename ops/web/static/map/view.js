// What the view knows and what happens when somebody acts.

import { render } from "../vendor/lit-html/lit-html.js";
import { actionsOf, paneHooksOf } from "./actions.js";
import { Answers } from "./answers.js";
import { placeAt } from "./cells.js";
import { choiceOf, paramsOf } from "./choice.js";
import { classesOf } from "./classes.js";
import { Charts } from "./drawn.js";
import { Explanation } from "./explanation.js";
import { found } from "./find.js";
import { legendOf } from "./legend.js";
import { nearest, neighbour } from "./neighbours.js";
import { page } from "./page.js";
import { canDraw } from "./pane.js";
import { Panes } from "./panes.js";
import { statisticsOf } from "./statistics.js";
import { showTip } from "./tip.js";
import { WhatIf } from "./whatif_state.js";

/** The open map. `words` is the context of the page with `figures`. */
export class MapView {
  constructor(root, words) {
    const draw = () => this.draw();
    Object.assign(this, { root, words, ended: false, turn: 0 });
    this.answers = new Answers(words.api, words.meta.levels);
    this.charts = new Charts();
    this.explanation = new Explanation(words, draw);
    this.panes = new Panes(words, paneHooksOf(this));
    this.state = {
      choice: choiceOf(words.meta, words.params),
      canDraw: canDraw(),
      asTable: false,
      shown: null,
      legend: null,
      statistics: null,
      selected: -1,
      page: 0,
      error: null,
      findMessage: null,
    };
    this.whatIf = new WhatIf(words, this.state.choice, draw);
    this.actions = actionsOf(this);
    this.explanation.turnTo(this.state.choice);
  }

  /** Draws the page and loads what it shows. */
  start() {
    this.load();
    this.explainWhatIsOpen();
  }

  end() {
    this.ended = true;
    this.panes.end();
    this.charts.end();
    delete this.root.dataset.state;
  }

  /** Changes the choice, writes it into the address and shows it. */
  choose(changes) {
    this.keep(changes);
    this.state.page = 0;
    this.explanation.turnTo(this.state.choice);
    this.load();
    this.explainWhatIsOpen();
  }

  keep(changes) {
    Object.assign(this.state.choice, changes);
    this.words.navigate(paramsOf(this.state.choice));
  }

  async load() {
    const { state } = this;
    const turn = (this.turn += 1);
    const isPast = () => turn !== this.turn || this.ended;
    state.asTable = state.choice.table || !state.canDraw;
    this.say("loading");
    try {
      const shown = await this.answers.shown(state.choice);
      if (!isPast()) await this.show(shown, isPast);
    } catch (error) {
      if (!isPast()) this.refuse(error);
    }
  }

  async show(shown, isPast) {
    const { state, words } = this;
    const { quantity, compare, camera, cell } = state.choice;
    const columns = shown.map(({ values }) => values[quantity]);
    const classes = classesOf(quantity, columns, {
      difference: compare === "difference",
      levels: words.meta.levels.length,
    });
    Object.assign(state, {
      shown,
      error: null,
      legend: legendOf(words, quantity, classes, shown),
      statistics: statisticsOf(words, shown),
    });
    state.selected = cell ? placeAt(shown[0], ...cell) : -1;
    this.draw();
    if (!state.asTable) {
      await this.panes.show(this.root.querySelectorAll(".map-canvas"), shown, { quantity, classes, camera });
      if (this.ended) {
        this.panes.end();
        return;
      }
      this.mark();
      await this.panes.still();
    }
    if (!isPast()) this.say("ready");
  }

  refuse(error) {
    Object.assign(this.state, { error: error.detail ?? error.message, shown: null });
    this.panes.drop(0);
    this.say("error");
  }

  say(state) {
    this.root.dataset.state = state;
    this.draw();
  }

  draw() {
    if (this.ended) return;
    render(
      page(this.words, { ...this.state, explain: this.explanation.state, whatIf: this.whatIf.state }, this.actions),
      this.root,
    );
    this.charts.drawAll(this.root, this.words, this.explanation.state.found);
  }

  /** Selects a cell by its coordinates; in a comparison it is selected in both maps. */
  select(cell, side) {
    const { shown, choice } = this.state;
    const isSame = String(cell) === String(choice.cell) && side === undefined;
    this.keep({ cell });
    this.state.selected = placeAt(shown[0], ...cell);
    if (!isSame) this.explanation.turnTo(choice, side);
    this.mark();
    this.draw();
  }

  mark() {
    const { shown, choice } = this.state;
    if (shown) this.panes.select(shown.map((cells) => (choice.cell ? placeAt(cells, ...choice.cell) : -1)));
  }

  step(arrow) {
    const { shown, selected } = this.state;
    const [latitude, longitude] = this.panes.panes[0].camera();
    const place = selected < 0 ? nearest(shown[0], latitude, longitude) : neighbour(shown[0], selected, arrow);
    if (place < 0) return;
    this.select(cellAt(shown[0], place));
    this.panes.reveal(place);
    this.explainWhatIsOpen();
  }

  find(text) {
    const { shown } = this.state;
    if (!shown) return;
    const { place, message = null } = found(this.words, shown[0], text);
    this.state.findMessage = message;
    if (message) {
      this.draw();
      return;
    }
    this.select(cellAt(shown[0], place));
    this.panes.reveal(place);
    if (this.state.asTable) this.explain();
    else this.panes.focus();
  }

  /** A cell of one of the maps, or of their tables, was clicked. */
  async pick(index, place) {
    if (place < 0) return;
    const { shown, choice } = this.state;
    this.select(cellAt(shown[index], place), choice.compare === "side" ? index : 0);
    await this.explain();
    this.panel()?.scrollIntoView({ block: "nearest" });
  }

  /** Opens the panel of the selected cell. */
  async explain() {
    if (!this.state.choice.cell) return;
    this.keep({ explained: true });
    await this.explanation.ask();
  }

  explainWhatIsOpen() {
    const { choice } = this.state;
    if (choice.explained && choice.cell) this.explanation.ask();
  }

  async explainAndGo() {
    await this.explain();
    this.panel()?.querySelector("h2").focus();
  }

  panel() {
    return this.root.querySelector(".map-side");
  }

  close() {
    const within = this.panel()?.contains(document.activeElement);
    this.keep({ explained: false });
    this.draw();
    if (within) this.panes.focus();
  }

  hover(index, place, point) {
    const tip = this.root.querySelectorAll(".map-tip")[index];
    const cells = this.state.shown?.[index];
    if (!tip) return;
    if (place < 0 || !cells) tip.hidden = true;
    else showTip(tip, this.words, cells, place, this.state.choice.quantity, point);
  }
}

const cellAt = (cells, place) => [cells.latitude[place], cells.longitude[place]];
