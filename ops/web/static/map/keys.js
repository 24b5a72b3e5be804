// The keyboard on the map.

import { isArrow } from "./neighbours.js";

const PAN = 80;
const ARROWS = { ArrowRight: [PAN, 0], ArrowLeft: [-PAN, 0], ArrowUp: [0, -PAN], ArrowDown: [0, PAN] };

/**
 * Arrows go from cell to cell, with Shift they move the map; + and - zoom; Enter explains, Escape closes.
 *
 * @param {KeyboardEvent} event
 * @param {object} map MapLibre's.
 * @param {{step: (arrow: string) => void, explain: () => void, close: () => void}} actions
 */
export function onKey(event, map, { step, explain, close }) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = actionOf(event, map, { step, explain, close });
  if (!act) return;
  event.preventDefault();
  act();
}

function actionOf({ key, shiftKey }, map, { step, explain, close }) {
  if (isArrow(key)) return shiftKey ? () => map.panBy(ARROWS[key], { duration: 150 }) : () => step(key);
  return {
    Enter: explain,
    " ": explain,
    Escape: close,
    "+": () => map.zoomIn(),
    "=": () => map.zoomIn(),
    "-": () => map.zoomOut(),
  }[key];
}
