// Colour scales. Lightness alone tells their order, so that they hold for every kind of colour vision and in print.

// "inferno" of matplotlib (van der Walt and Smith, public domain by CC0), every tenth of its upper part: light to dark.
const INFERNO = ["#fcffa4", "#f6d746", "#fca50a", "#f37819", "#dd513a", "#bc3754", "#932667", "#6a176e"];
const BLUE = ["#f1f0ee", "#a9c6e0", "#5b95c8", "#155a9c"];
const ORANGE = ["#f1f0ee", "#efc08d", "#d98432", "#984a00"];

/** `count` colours from mild (light) to severe (dark). */
export function ramp(count) {
  return Array.from({ length: count }, (_, i) => along(INFERNO, count === 1 ? 0.5 : i / (count - 1)));
}

/** `count` (odd) colours from less (blue) over none to more (orange). */
export function diverging(count) {
  const half = (count - 1) / 2;
  const arm = (colours) => Array.from({ length: half }, (_, i) => along(colours, (i + 1) / half));
  return [...arm(BLUE).reverse(), BLUE[0], ...arm(ORANGE)];
}

/** A colour with an opacity (0 to 1). */
export function transparent(colour, opacity) {
  return `rgba(${parts(colour).join(", ")}, ${opacity})`;
}

function along(colours, share) {
  const at = share * (colours.length - 1);
  const below = Math.min(Math.floor(at), colours.length - 2);
  const [one, other] = [parts(colours[below]), parts(colours[below + 1])];
  const mixed = one.map((part, i) => Math.round(part + (other[i] - part) * (at - below)));
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
