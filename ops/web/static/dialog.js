// Modal dialogs by <dialog>: Escape closes, and the focus goes back to what opened it.

import { html, render } from "./vendor/lit-html/lit-html.js";
import { t } from "./words.js";

/**
 * Show a dialog.
 *
 * @param {(draw: () => void, close: (result?: any) => void) => () => any} build Gives the function that makes the
 *   template; `draw` draws it anew, `close` ends the dialog.
 * @param {string} [kind] Class of the dialog.
 * @returns {Promise<any>} What `close` was given; undefined where the person left it.
 */
export function openDialog(build, kind = "") {
  const opener = document.activeElement;
  const dialog = document.createElement("dialog");
  dialog.className = kind;
  dialog.setAttribute("aria-labelledby", "dialog-title");
  return new Promise((resolve) => {
    const close = (result) => { leave(dialog, opener); resolve(result); };
    const draw = () => render(template(), dialog);
    const template = build(draw, close);
    // The event `close` comes late: until then the dialog would stand beside the next one.
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
    dialog.addEventListener("close", () => close());
    document.body.append(dialog);
    draw();
    dialog.showModal();
  });
}

function leave(dialog, opener) {
  if (!dialog.isConnected) return;
  dialog.close();
  dialog.remove();
  if (opener?.isConnected) opener.focus();
}

/** Head of a dialog with its title and a button that closes it. */
export const dialogHead = (title, close) => html`
  <header class="dialog-head">
    <h2 id="dialog-title">${title}</h2>
    <button type="button" class="plain" aria-label=${t("dialog.close")} @click=${() => close()}>×</button>
  </header>`;

/** Ask before something that cannot be undone; resolves to true where the person says yes. */
export async function confirmed(title, sentence, yes) {
  const answer = await openDialog((_draw, close) => () => html`
    ${dialogHead(title, close)}
    <div class="dialog-body"><p>${sentence}</p></div>
    <footer class="dialog-foot">
      <button type="button" autofocus @click=${() => close(false)}>${t("dialog.back")}</button>
      <button type="button" class="danger" @click=${() => close(true)}>${yes}</button>
    </footer>`, "small");
  return answer === true;
}

/** Close every dialog, as when the person has gone to another view. */
export function closeDialogs() {
  document.querySelectorAll("dialog[open]").forEach((each) => each.close());
}
