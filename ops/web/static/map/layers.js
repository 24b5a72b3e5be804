// Style of the map: sea, land, cells, coasts, borders and the marks of the hovered and the selected cell.

const NONE = { type: "FeatureCollection", features: [] };
const source = (data, more = {}) => ({ type: "geojson", data, ...more });

/** The style before there are cells. */
export function styleOf(basemap, theme) {
  return {
    version: 8,
    sources: {
      land: source(basemap.land, { tolerance: 0.2 }),
      borders: source(basemap.borders),
      // No tolerance: simplified, small cells would vanish.
      cells: source(NONE, { tolerance: 0, buffer: 32, maxzoom: 9 }),
      hovered: source(NONE, { tolerance: 0 }),
      selected: source(NONE, { tolerance: 0 }),
    },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": theme.sea } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": theme.land } },
      {
        id: "halo",
        type: "line",
        source: "land",
        paint: { "line-color": theme.casing, "line-width": 2.6, "line-opacity": 0.55 },
      },
      { id: "coast", type: "line", source: "land", paint: { "line-color": theme.coast, "line-width": 0.8 } },
      {
        id: "border",
        type: "line",
        source: "borders",
        paint: { "line-color": theme.border, "line-width": 1, "line-dasharray": [3, 2] },
      },
      ...marks("hovered", 1.5, theme),
      ...marks("selected", 2.5, theme),
    ],
  };
}

/** The layers of a quantity's cells: those with a number and those without. */
export function cellLayers(cells, quantity, classes, theme) {
  const colour = colourOf(quantity, classes, theme);
  const layers = cells.size ? [numberFill(colour), BLANK_FILL] : [numberCircle(colour, theme), blankCircle(theme)];
  return layers.map((layer) => ({
    ...layer,
    source: "cells",
    filter: layer.id === "cells" ? ["has", quantity] : ["!", ["has", quantity]],
  }));
}

/** Paint expression of a quantity's colour. */
export function colourOf(quantity, { breaks, colours }, theme) {
  if (colours.length < 2) return colours[0] ?? theme.blank;
  return ["step", ["get", quantity], colours[0], ...breaks.flatMap((bound, i) => [bound, colours[i + 1]])];
}

/** A picture of diagonal lines, for cells without a number. */
export function hatch(theme) {
  const size = 16;
  const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
  hatchInto(canvas.getContext("2d", { willReadFrequently: true }), 0, 0, size, size, theme);
  return canvas.getContext("2d").getImageData(0, 0, size, size);
}

/** Draws the hatching into a rectangle of a 2D canvas. */
export function hatchInto(pen, x, y, width, height, theme) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.fillStyle = theme.blank;
  pen.fillRect(x, y, width, height);
  pen.strokeStyle = theme.hatch;
  pen.lineWidth = 2;
  pen.beginPath();
  for (let at = -height; at < width + height; at += 8) {
    pen.moveTo(x + at, y + height);
    pen.lineTo(x + at + height, y);
  }
  pen.stroke();
  pen.restore();
}

// Without smoothed edges: neighbours share theirs, and smoothing would draw every cell a second time.
const numberFill = (colour) => ({
  id: "cells",
  type: "fill",
  paint: { "fill-color": colour, "fill-antialias": false },
});
const BLANK_FILL = { id: "blank", type: "fill", paint: { "fill-pattern": "hatch", "fill-antialias": false } };
const RADIUS = ["interpolate", ["linear"], ["zoom"], 4, 3.5, 6, 6, 9, 11];

const numberCircle = (colour, theme) => ({
  id: "cells",
  type: "circle",
  paint: {
    "circle-color": colour,
    "circle-radius": RADIUS,
    "circle-stroke-color": theme.coast,
    "circle-stroke-width": 1,
  },
});

const blankCircle = (theme) => ({
  id: "blank",
  type: "circle",
  paint: {
    "circle-color": theme.blank,
    "circle-radius": RADIUS,
    "circle-stroke-color": theme.hatch,
    "circle-stroke-width": 1.5,
  },
});

function marks(name, width, theme) {
  const ring = (id, colour, wide) => [
    {
      id: `${id}-line`,
      type: "line",
      source: name,
      filter: ["==", ["geometry-type"], "Polygon"],
      paint: { "line-color": colour, "line-width": wide },
    },
    {
      id: `${id}-circle`,
      type: "circle",
      source: name,
      filter: ["==", ["geometry-type"], "Point"],
      paint: {
        "circle-color": "transparent",
        "circle-radius": RADIUS,
        "circle-stroke-color": colour,
        "circle-stroke-width": wide,
      },
    },
  ];
  return [...ring(`${name}-casing`, theme.casing, width + 2), ...ring(name, theme.mark, width)];
}
