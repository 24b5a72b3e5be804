// Cells as GeoJSON: rectangles of a grid, or points of scattered stations.

/** All cells; a quantity without a number is no property of the feature. */
export function featuresOf(cells) {
  const features = [];
  for (let i = 0; i < cells.count; i += 1)
    features.push({ type: "Feature", geometry: geometryOf(cells, i), properties: propertiesOf(cells, i) });
  return { type: "FeatureCollection", features };
}

/** One cell, or nothing. */
export function featureOf(cells, place) {
  const features = place < 0 ? [] : [{ type: "Feature", geometry: geometryOf(cells, place), properties: {} }];
  return { type: "FeatureCollection", features };
}

/** South-west and north-east corner of the cells; null where there are none. */
export function boundsOf(cells) {
  if (!cells.count) return null;
  const { latitude = 0.2, longitude = 0.2 } = cells.size ?? {};
  const [south, north] = ends(cells.latitude);
  const [west, east] = ends(cells.longitude);
  return [
    [west - longitude, south - latitude],
    [east + longitude, north + latitude],
  ];
}

function geometryOf(cells, i) {
  const [x, y] = [cells.longitude[i], cells.latitude[i]];
  if (!cells.size) return { type: "Point", coordinates: [x, y] };
  const [w, h] = [cells.size.longitude / 2, cells.size.latitude / 2];
  return {
    type: "Polygon",
    coordinates: [
      [
        [x - w, y - h],
        [x + w, y - h],
        [x + w, y + h],
        [x - w, y + h],
        [x - w, y - h],
      ],
    ],
  };
}

function propertiesOf(cells, i) {
  const properties = {};
  for (const name in cells.values) {
    if (cells.values[name][i] !== null) properties[name] = cells.values[name][i];
  }
  return properties;
}

function ends(column) {
  let [least, most] = [Infinity, -Infinity];
  for (const value of column) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return [least, most];
}
