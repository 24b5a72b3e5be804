// Charts in the page: drawn when their element is there, drawn anew when size or theme change, and ended.

import { binsOption, echarts, yearsOption } from "./charts.js";
import { theme } from "./theme.js";

const OPTIONS = { years: yearsOption, bins: binsOption };

/** Keeper of the charts of a panel. */
export class Charts {
  constructor() {
    this.charts = new Map();
    this.drawn = new WeakMap();
    this.sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => this.charts.get(target)?.resize()));
  }

  /** Draws an explanation into the elements that ask for a chart; those that show it already stay. */
  drawAll(root, words, found) {
    const colours = theme();
    for (const element of root.querySelectorAll("[data-chart]")) {
      const drawn = this.drawn.get(element);
      if (drawn?.found === found && drawn.colours === colours) continue;
      this.drawn.set(element, { found, colours });
      this.draw(element, OPTIONS[element.dataset.chart](words, found, colours));
    }
    this.forget();
  }

  /** Draws an option into an element. */
  async draw(element, option) {
    const library = await echarts();
    if (!element.isConnected) return;
    if (!this.charts.has(element)) {
      const locale = document.documentElement.lang === "ko" ? "KO" : "EN";
      this.charts.set(element, library.init(element, null, { locale }));
      this.sizes.observe(element);
    }
    this.charts.get(element).setOption(option, true);
  }

  /** Ends charts whose elements are no more on the page. */
  forget() {
    for (const [element, chart] of this.charts) {
      if (element.isConnected) continue;
      this.sizes.unobserve(element);
      chart.dispose();
      this.charts.delete(element);
    }
  }

  end() {
    this.sizes.disconnect();
    for (const chart of this.charts.values()) chart.dispose();
    this.charts.clear();
  }
}
