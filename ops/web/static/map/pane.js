// One map: MapLibre with the cells of one answer, or of a difference.

import * as maplibre from "../vendor/maplibre-gl/maplibre-gl.mjs";
import { cellLayers, hatch, styleOf } from "./layers.js";
import { inside, nearest } from "./neighbours.js";
import { featureOf, featuresOf } from "./shapes.js";

const REACH = 14;
const PADDING = 16;

/** Whether this browser can draw the map. */
export function canDraw() {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("webgl2");
  pen?.getExtension("WEBGL_lose_context")?.loseContext();
  return pen !== null;
}

/**
 * A map in an element.
 *
 * @param {HTMLElement} element
 * @param {{basemap: object, theme: object, camera: number[]|null, bounds: number[][]|null, locale: object}} what
 * @param {{hover: (place: number, point: {x: number, y: number}) => void, pick: (place: number) => void, moved: (camera: number[]) => void}} hooks
 */
export async function paneIn(element, { basemap, theme, camera, bounds, locale }, hooks) {
  const view = camera
    ? { center: [camera[1], camera[0]], zoom: camera[2] }
    : { bounds, fitBoundsOptions: { padding: PADDING } };
  const map = new maplibre.Map({
    ...OPTIONS,
    ...view,
    container: element,
    style: styleOf(basemap, theme),
    ...(basemap.box ? { maxBounds: basemap.box } : {}),
    locale,
  });
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.ScaleControl({ unit: "metric" }), "bottom-left");
  map.touchZoomRotate.disableRotation();
  await map.once("style.load");
  return new Pane(map, theme, hooks);
}

const OPTIONS = {
  // On a touch screen one finger scrolls the page and two move the map.
  cooperativeGestures: matchMedia("(hover: none)").matches,
  attributionControl: false,
  keyboard: false,
  dragRotate: false,
  pitchWithRotate: false,
  touchPitch: false,
  renderWorldCopies: false,
  fadeDuration: 0,
  minZoom: 1,
  maxZoom: 13,
};

class Pane {
  constructor(map, theme, hooks) {
    Object.assign(this, { map, theme, cells: null, hovered: -1 });
    map.on("mousemove", ({ lngLat, point }) => this.hover(this.placeUnder(lngLat, point), point, hooks));
    map.on("mouseout", () => this.hover(-1, null, hooks));
    map.on("click", ({ lngLat, point }) => hooks.pick(this.placeUnder(lngLat, point)));
    map.on("moveend", () => hooks.moved(this.camera()));
    this.keepHatch();
  }

  /** Shows these cells, coloured by a quantity. Cells that it shows already are only painted anew. */
  show(cells, quantity, classes) {
    const isSame = cells === this.cells;
    this.cells = cells;
    this.paint(quantity, classes);
    if (isSame) return;
    this.map.getSource("cells").setData(featuresOf(cells));
    this.mark("hovered", -1);
  }

  /** Colours the cells by a quantity. */
  paint(quantity, classes) {
    Object.assign(this, { quantity, classes });
    for (const id of ["cells", "blank"]) if (this.map.getLayer(id)) this.map.removeLayer(id);
    // Coasts stay in sight over rectangles; points lie on top of them.
    const above = this.cells.size ? "halo" : "hovered-casing-line";
    for (const layer of cellLayers(this.cells, quantity, classes, this.theme)) this.map.addLayer(layer, above);
  }

  /** Draws all anew in the colours of another theme. */
  repaint(basemap, theme) {
    this.theme = theme;
    for (const { id, paint } of styleOf(basemap, theme).layers) {
      for (const [name, value] of Object.entries(paint)) this.map.setPaintProperty(id, name, value);
    }
    this.keepHatch();
    if (this.cells) this.paint(this.quantity, this.classes);
  }

  keepHatch() {
    if (this.map.hasImage("hatch")) this.map.removeImage("hatch");
    this.map.addImage("hatch", hatch(this.theme), { pixelRatio: 2 });
  }

  /** Marks a cell as `hovered` or `selected`; -1 takes the mark away. */
  mark(name, place) {
    this.map.getSource(name).setData(featureOf(this.cells, place));
  }

  hover(place, point, hooks) {
    // While the map is dragged the cell under the pointer is the same.
    if (this.map.isMoving()) return;
    if (place !== this.hovered && this.cells) this.mark("hovered", place);
    this.hovered = place;
    hooks.hover(place, point);
  }

  placeUnder({ lng, lat }, point) {
    if (!this.cells) return -1;
    const place = nearest(this.cells, lat, lng);
    if (place < 0) return -1;
    if (this.cells.size) return inside(this.cells, place, lat, lng) ? place : -1;
    const { x, y } = this.map.project([this.cells.longitude[place], this.cells.latitude[place]]);
    return Math.hypot(x - point.x, y - point.y) <= REACH ? place : -1;
  }

  /** Moves so that a cell is in sight. */
  reveal(place) {
    const at = [this.cells.longitude[place], this.cells.latitude[place]];
    if (!this.map.getBounds().contains(at)) this.map.easeTo({ center: at, duration: 200 });
  }

  camera() {
    const { lng, lat } = this.map.getCenter();
    return [lat, lng, this.map.getZoom()].map((value) => Number(value.toFixed(4)));
  }

  /** When everything is drawn. */
  async still() {
    if (!this.map.loaded() || this.map.isMoving()) await this.map.once("idle");
  }

  /** Gives the canvas to `use` while it holds what is drawn: the browser empties it after the frame. */
  async picture(use) {
    const drawn = this.map.once("render");
    this.map.triggerRepaint();
    await drawn;
    return use(this.map.getCanvas());
  }

  end() {
    this.map.remove();
  }
}

/** Moves each of two panes with the other; gives the function that ends this. */
export function together(one, other) {
  let leader = null;
  const follow = (from, to) => () => {
    if (leader === to) return;
    leader = from;
    to.map.jumpTo({ center: from.map.getCenter(), zoom: from.map.getZoom() });
    leader = null;
  };
  const [first, second] = [follow(one, other), follow(other, one)];
  one.map.on("move", first);
  other.map.on("move", second);
  first();
  return () => {
    one.map.off("move", first);
    other.map.off("move", second);
  };
}
