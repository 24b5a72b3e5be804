"use strict";
(() => {
  const table = document.getElementById("students");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const language = document.documentElement.lang;
  const collator = new Intl.Collator(language, { numeric: true });
  const plural = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(language);

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value ?? cell.textContent.trim();
  };
  const compare = (kind) => (one, other) =>
    kind === "number" ? Number(one) - Number(other) : collator.compare(one, other);

  const headers = [...table.tHead.rows[0].cells];
  const sortBy = (header) => {
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    headers.forEach((each) => each.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const order = compare(header.dataset.sort);
    const column = header.cellIndex;
    // Rows start in order of rank, and sorting keeps the order of equals.
    const sorted = [...rows].sort((one, other) =>
      (ascending ? 1 : -1) * order(valueOf(one, column), valueOf(other, column)));
    body.append(...sorted);
  };
  headers.filter((header) => header.dataset.sort).forEach((header) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = header.dataset.hint;
    button.textContent = header.textContent;
    button.addEventListener("click", () => sortBy(header));
    // Chromium leaves buttons out where a printed table repeats its head.
    const printed = document.createElement("span");
    printed.className = "printed";
    printed.textContent = header.textContent;
    header.replaceChildren(button, printed);
  });

  const text = document.getElementById("filter-text");
  const level = document.getElementById("filter-level");
  const group = document.getElementById("filter-class");
  const count = document.getElementById("filter-count");
  const forms = JSON.parse(count.dataset.forms);
  const sought = rows.map((row) => row.cells[1].textContent.toLocaleLowerCase(language));
  const filter = () => {
    const wanted = text.value.trim().toLocaleLowerCase(language);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !(sought[place].includes(wanted)
        && (!level.value || row.dataset.level === level.value)
        && (!group || !group.value || row.dataset.class === group.value));
      shown += row.hidden ? 0 : 1;
    });
    const form = forms[plural.select(shown)] ?? forms.other;
    count.textContent = form.replace("{count}", numbers.format(shown));
  };
  [text, level, group].forEach((input) => input?.addEventListener("input", filter));
  document.querySelector(".filters").hidden = false;
  filter();
})();
