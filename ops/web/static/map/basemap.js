// Land, coasts and borders around the cells, from the vendored Natural Earth file.

import { clipPolygon, clipPolyline } from "../vendor/lineclip/index.js";
import { json, script } from "./assets.js";

const FILE = "world-atlas/countries-10m.json";
const MARGIN = 12;
const EARTH = [-180, -85, 180, 85];
// MapLibre cannot be kept within a box that is wider than what it shows when zoomed out.
const WIDE = 150;

/**
 * Land and borders around the bounds as GeoJSON, and the box that the map stays in; null where it may go anywhere.
 *
 * @param {{south: number, west: number, north: number, east: number}|null} bounds Of the cells; null: the whole earth.
 */
export async function basemapOf(bounds) {
  const [topology, topojson] = await Promise.all([
    json(FILE),
    script("topojson-client/topojson-client.min.js", "topojson"),
  ]);
  // The land ends a degree outside of the box, where nobody sees that it was cut.
  const [box, cut] = [around(bounds, MARGIN), around(bounds, MARGIN + 1)];
  const { land, countries } = topology.objects;
  const polygons = topojson.feature(topology, land).features.flatMap(({ geometry }) => geometry.coordinates);
  const borders = topojson.mesh(topology, countries, (one, other) => one !== other).coordinates;
  return {
    box: box[2] - box[0] < WIDE ? box : null,
    land: {
      type: "MultiPolygon",
      coordinates: polygons.map((rings) => clipped(rings, cut)).filter((rings) => rings.length),
    },
    borders: { type: "MultiLineString", coordinates: borders.flatMap((line) => clipPolyline(line, cut)) },
  };
}

function around(bounds, margin) {
  if (!bounds) return EARTH;
  const [west, south, east, north] = EARTH;
  return [
    Math.max(bounds.west - margin, west),
    Math.max(bounds.south - margin, south),
    Math.min(bounds.east + margin, east),
    Math.min(bounds.north + margin, north),
  ];
}

// A hole can only be left where its outline is.
function clipped([outline, ...holes], box) {
  const left = ring(outline, box);
  return left ? [left, ...holes.map((hole) => ring(hole, box)).filter(Boolean)] : [];
}

function ring(points, box) {
  const left = clipPolygon(points, box);
  return left.length > 2 ? [...left, left[0]] : null;
}
