// The one or two maps of the view, which move together.

import { basemapOf } from "./basemap.js";
import { paneIn, together } from "./pane.js";
import { boundsOf } from "./shapes.js";
import { onTheme, theme } from "./theme.js";

/** Keeper of the maps; they are drawn into the elements when first needed. */
export class Panes {
  constructor({ meta, t }, hooks) {
    Object.assign(this, { meta, t, hooks, panes: [], untie: null });
    this.endTheme = onTheme(() => this.repaint());
  }

  /** Shows each of the cells in a map; `camera` is where the first one looks. */
  async show(elements, shown, { quantity, classes, camera }) {
    this.basemap ??= basemapOf(this.meta.bounds);
    const basemap = await this.basemap;
    for (let i = this.panes.length; i < shown.length; i += 1) {
      this.panes.push(
        await this.pane(elements[i], i, {
          basemap,
          camera: this.panes[0]?.camera() ?? camera,
          bounds: boundsOf(shown[i]),
        }),
      );
    }
    this.drop(shown.length);
    if (shown.length === 2) this.untie ??= together(...this.panes);
    this.panes.forEach((pane, i) => pane.show(shown[i], quantity, classes));
  }

  pane(element, index, what) {
    const hooks = {
      hover: (place, point) => this.hooks.hover(index, place, point),
      pick: (place) => this.hooks.pick(index, place),
      moved: (at) => this.hooks.moved(at),
    };
    return paneIn(element, { ...what, theme: theme(), locale: this.locale() }, hooks).then((pane) => this.named(pane));
  }

  named(pane) {
    const canvas = pane.map.getCanvas();
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", this.t("map.canvas"));
    canvas.setAttribute("aria-describedby", "map-keys");
    canvas.addEventListener("keydown", (event) => this.hooks.key(event, pane.map));
    return pane;
  }

  /** Marks the same cell in every map, by its place in each. */
  select(places) {
    this.panes.forEach((pane, i) => pane.mark("selected", places[i] ?? -1));
  }

  reveal(place) {
    this.panes[0]?.reveal(place);
  }

  /** Puts the keyboard's focus on the first map; false where there is none. */
  focus() {
    this.panes[0]?.map.getCanvas().focus();
    return this.panes.length > 0;
  }

  async still() {
    await Promise.all(this.panes.map((pane) => pane.still()));
  }

  /** Copies of what the maps show. */
  pictures() {
    return Promise.all(this.panes.map((pane) => pane.picture(copyOf)));
  }

  async repaint() {
    const basemap = await this.basemap;
    this.panes.forEach((pane) => pane.repaint(basemap, theme()));
    this.hooks.themed();
  }

  drop(count) {
    if (this.panes.length <= count) return;
    this.untie?.();
    this.untie = null;
    this.panes.splice(count).forEach((pane) => pane.end());
  }

  end() {
    this.endTheme();
    this.drop(0);
  }

  locale() {
    return {
      "NavigationControl.ZoomIn": this.t("map.zoom_in"),
      "NavigationControl.ZoomOut": this.t("map.zoom_out"),
      "CooperativeGesturesHandler.MobileHelpText": this.t("map.two_fingers"),
    };
  }
}

function copyOf(canvas) {
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}
