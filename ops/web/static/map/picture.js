// The map as a picture: the drawn canvases with title, legend and source on a 2D canvas.

import { hatchInto } from "./layers.js";
import { titles } from "./page.js";
import { theme } from "./theme.js";

const GAP = 12;
const SWATCH = 18;
const LINE = 22;

/**
 * A canvas with all of it.
 *
 * @param {{canvases: HTMLCanvasElement[], title: string, captions: string[], notes: string[], legend: object, source: string, theme: object, words: object}} what
 */
function pictureOf({ canvases, title, captions, notes, legend, source, theme: colours, words }) {
  const ratio = devicePixelRatio || 1;
  const width = canvases.reduce((sum, canvas) => sum + canvas.width / ratio, GAP * (canvases.length + 1));
  const height = Math.max(...canvases.map((canvas) => canvas.height / ratio));
  const pen = sheet(width, 0, ratio, colours);
  const lines = {
    title: wrapped(pen, TITLE, title, width),
    notes: notes.flatMap((note) => wrapped(pen, SMALL, note, width)),
    source: wrapped(pen, SMALL, source, width),
    method: wrapped(pen, SMALL, legend.method, width),
  };
  const rows = layout(pen, entriesOf(legend, words), width);
  const head = LINE * (lines.title.length + lines.notes.length) + 2 * GAP + (captions.length ? LINE : 0);
  const foot = LINE * (rows.length + 1 + lines.method.length + lines.source.length) + 2 * GAP;
  return draw(sheet(width, head + height + foot, ratio, colours), {
    canvases,
    captions,
    legend,
    lines,
    rows,
    head,
    height,
    ratio,
    theme: colours,
  });
}

/** Saves what the maps show; `canvases` are copies of theirs. */
export async function savePicture(words, { choice, legend, shown }, root, canvases) {
  const { figures, meta, t, format } = words;
  const names = titles(words, choice);
  const canvas = pictureOf({
    canvases,
    title: [figures.risk(choice.risk), ...names].join(" · "),
    captions: choice.compare === "side" ? names : [],
    notes: [...root.querySelectorAll(".map-derived")].map((note) => note.textContent.trim().replace(/\s+/g, " ")),
    legend: { ...legend, isGrid: shown[0].size !== null },
    source: t("map.picture_source", { version: meta.version, at: format.fullTime(shown[0].answer.calculated_at) }),
    theme: theme(),
    words,
  });
  await save(canvas, `riskflow-${choice.risk}-${choice.scenario}-${choice.quantity}.png`);
}

async function save(canvas, name) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const family = () => getComputedStyle(document.body).fontFamily || "sans-serif";
const TITLE = () => `600 18px ${family()}`;
const TEXT = () => `14px ${family()}`;
const SMALL = () => `12px ${family()}`;

function sheet(width, height, ratio, theme) {
  const canvas = Object.assign(document.createElement("canvas"), {
    width: Math.round(width * ratio),
    height: Math.max(1, Math.round(height * ratio)),
  });
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.fillStyle = theme.surface;
  pen.fillRect(0, 0, width, height);
  pen.textBaseline = "top";
  return pen;
}

function draw(pen, { canvases, captions, legend, lines, rows, head, height, ratio, theme }) {
  let y = textLines(pen, TITLE, theme.text, lines.title, GAP);
  y = textLines(pen, SMALL, theme.text, lines.notes, y);
  let x = GAP;
  canvases.forEach((canvas, i) => {
    if (captions.length) textLines(pen, TEXT, theme.text, [captions[i]], head - LINE - GAP / 2, x);
    pen.drawImage(canvas, x, head, canvas.width / ratio, canvas.height / ratio);
    x += canvas.width / ratio + GAP;
  });
  y = textLines(pen, TEXT, theme.text, [legend.title], head + height + GAP);
  for (const row of rows) {
    drawRow(pen, row, y, theme);
    y += LINE;
  }
  y = textLines(pen, SMALL, theme.muted, lines.method, y + 4);
  textLines(pen, SMALL, theme.muted, lines.source, y);
  return pen.canvas;
}

function textLines(pen, font, colour, lines, y, x = GAP) {
  pen.font = font();
  pen.fillStyle = colour;
  lines.forEach((line, i) => pen.fillText(line, x, y + i * LINE));
  return y + lines.length * LINE;
}

const entriesOf = ({ rows, without, isGrid }, { t }) => [
  ...rows.map(({ colour, label }) => ({ colour, label })),
  ...(without.some(Boolean) ? [{ colour: isGrid ? "hatched" : "blank", label: t("map.without") }] : []),
];

function layout(pen, entries, width) {
  pen.font = TEXT();
  const rows = [[]];
  let x = GAP;
  for (const entry of entries) {
    const wide = SWATCH + 6 + pen.measureText(entry.label).width + 18;
    if (x + wide > width && rows.at(-1).length) {
      rows.push([]);
      x = GAP;
    }
    rows.at(-1).push({ ...entry, x });
    x += wide;
  }
  return rows;
}

function drawRow(pen, row, y, theme) {
  pen.font = TEXT();
  for (const { colour, label, x } of row) {
    if (colour === "hatched") hatchInto(pen, x, y, SWATCH, SWATCH - 4, theme);
    else {
      pen.fillStyle = colour === "blank" ? theme.blank : colour;
      pen.fillRect(x, y, SWATCH, SWATCH - 4);
    }
    pen.strokeStyle = theme.line;
    pen.strokeRect(x + 0.5, y + 0.5, SWATCH - 1, SWATCH - 5);
    pen.fillStyle = theme.text;
    pen.fillText(label, x + SWATCH + 6, y);
  }
}

function wrapped(pen, font, text, width) {
  pen.font = font();
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (lines.at(-1) && pen.measureText(longer).width > width - 2 * GAP) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}
