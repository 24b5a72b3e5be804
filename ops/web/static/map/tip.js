// The box beside the pointer with the numbers of the cell under it; drawn alone, many times a second.

import { html, render } from "../vendor/lit-html/lit-html.js";

/** Shows a cell of a map beside a point of its canvas. */
export function showTip(tip, { figures }, cells, place, quantity, point) {
  const facts = figures.cell(cells, place, quantity);
  const { clientWidth: width, clientHeight: height } = tip.parentElement;
  render(
    html`
    <strong>${figures.place(cells.latitude[place], cells.longitude[place])}</strong>
    ${facts.map(([name, text]) => html`<div><span>${name}</span> <b>${text}</b></div>`)}`,
    tip,
  );
  Object.assign(
    tip.style,
    point.x > width / 2 ? { left: "", right: `${width - point.x + 14}px` } : { right: "", left: `${point.x + 14}px` },
  );
  Object.assign(
    tip.style,
    point.y > height / 2 ? { top: "", bottom: `${height - point.y + 14}px` } : { bottom: "", top: `${point.y + 14}px` },
  );
  tip.hidden = false;
}
