// The cells of one answer of /map as columns, and the difference of two.

/**
 * Columns of the cells, one entry per cell. Numbers are null where there is none; a level is its place in `levels`.
 *
 * @param {object} answer GET /map.
 * @param {string[]} levels Names, mildest first.
 */
export function cellsOf(answer, levels) {
  const level = answer.hazard_level.map((name) => (name === null ? null : levels.indexOf(name)));
  return {
    answer,
    size: answer.cell_size,
    count: answer.latitude.length,
    latitude: answer.latitude,
    longitude: answer.longitude,
    values: { aal: answer.aal, worst_bin: answer.worst_bin, hazard_score: answer.hazard_score, hazard_level: level },
    of: null,
  };
}

/**
 * `second` minus `first` at the cells that both have. `of[i]` are the places of cell i in the two; a number is null
 * where one of the two has none.
 */
export function differenceOf(first, second) {
  const places = placesOf(second);
  const of = [];
  for (let i = 0; i < first.count; i += 1) {
    const other = places.get(keyOf(first, i));
    if (other !== undefined) of.push([i, other]);
  }
  const values = {};
  for (const name of Object.keys(first.values)) {
    values[name] = of.map(([one, other]) => minus(second.values[name][other], first.values[name][one]));
  }
  return {
    answer: first.answer,
    size: first.size,
    count: of.length,
    latitude: of.map(([one]) => first.latitude[one]),
    longitude: of.map(([one]) => first.longitude[one]),
    values,
    of,
    onlyFirst: first.count - of.length,
    onlySecond: second.count - of.length,
  };
}

/** Place of the cell at a latitude and longitude; -1 where there is none. */
export function placeAt(cells, latitude, longitude) {
  cells.places ??= placesOf(cells);
  return cells.places.get(key(latitude, longitude)) ?? -1;
}

/** Why a cell has no number of a quantity; null where it has one or the server gave no reason. */
export function reasonOf(cells, place, quantity) {
  const { reason, hazard_reason: hazard } = cells.answer;
  return (quantity.startsWith("hazard") ? hazard : reason)[place];
}

function placesOf(cells) {
  const places = new Map();
  for (let i = 0; i < cells.count; i += 1) places.set(keyOf(cells, i), i);
  return places;
}

const keyOf = (cells, i) => key(cells.latitude[i], cells.longitude[i]);
// Six decimals: the scale of the tables' coordinates.
const key = (latitude, longitude) => `${latitude.toFixed(6)} ${longitude.toFixed(6)}`;
const minus = (one, other) => (one === null || other === null ? null : one - other);
