// What the page's controls and the maps call; each gives what somebody does to the view (view.js).

import { onKey } from "./keys.js";
import { savePicture } from "./picture.js";

/** Of the maps. */
export function paneHooksOf(view) {
  return {
    hover: (index, place, point) => view.hover(index, place, point),
    pick: (index, place) => view.pick(index, place),
    moved: (camera) => {
      if (view.root.dataset.state === "ready") view.keep({ camera });
    },
    themed: () => view.draw(),
    key: (event, map) =>
      view.state.shown &&
      onKey(event, map, {
        step: (arrow) => view.step(arrow),
        explain: () => view.explainAndGo(),
        close: () => view.close(),
      }),
  };
}

/** Of the page. */
export function actionsOf(view) {
  return {
    choose: (changes) => view.choose(changes),
    find: (text) => view.find(text),
    pick: (index, place) => view.pick(index, place),
    explain: () => view.explainAndGo(),
    band: () => view.explanation.ask(true),
    side: (side) => {
      view.explanation.turnTo(view.state.choice, side);
      view.explanation.ask();
    },
    close: () => view.close(),
    picture: async () => savePicture(view.words, view.state, view.root, await view.panes.pictures()),
    turn: (number) => {
      view.state.page = number;
      view.draw();
    },
    turnTable: () => {
      view.keep({ table: !view.state.choice.table });
      view.load();
    },
    whatIf: view.whatIf.actions,
  };
}
