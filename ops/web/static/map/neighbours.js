// Which cell is at a place, and which is beside another; by distance, so that grids and scattered stations are one.

const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Place of the cell whose centre is nearest to a position; -1 where there are no cells. */
export function nearest(cells, latitude, longitude) {
  const narrowing = Math.cos((latitude * Math.PI) / 180);
  let found = -1;
  let least = Infinity;
  for (let i = 0; i < cells.count; i += 1) {
    const x = (cells.longitude[i] - longitude) * narrowing;
    const y = cells.latitude[i] - latitude;
    const distance = x * x + y * y;
    if (distance < least) {
      least = distance;
      found = i;
    }
  }
  return found;
}

/** Whether a position lies in the rectangle of a cell of a grid. */
export function inside(cells, place, latitude, longitude) {
  return (
    Math.abs(cells.latitude[place] - latitude) <= cells.size.latitude / 2 &&
    Math.abs(cells.longitude[place] - longitude) <= cells.size.longitude / 2
  );
}

/** Place of the next cell in an arrow key's direction, within 45 degrees of it; the same place where there is none. */
export function neighbour(cells, place, arrow) {
  const [right, up] = DIRECTIONS[arrow];
  const latitude = cells.latitude[place];
  const longitude = cells.longitude[place];
  const narrowing = Math.cos((latitude * Math.PI) / 180);
  let found = place;
  let least = Infinity;
  for (let i = 0; i < cells.count; i += 1) {
    const x = (cells.longitude[i] - longitude) * narrowing;
    const y = cells.latitude[i] - latitude;
    const along = x * right + y * up;
    const across = Math.abs(x * up) + Math.abs(y * right);
    if (along > 1e-9 && across <= along && along + 2 * across < least) {
      least = along + 2 * across;
      found = i;
    }
  }
  return found;
}

export const isArrow = (key) => key in DIRECTIONS;
