// Scores the rows of a file or of a pasted text: a preview, progress, and the answers as a CSV to keep.

import { predict, pathOf } from "./ask.js";
import { cell, refused } from "./answer.js";
import { $, brief, count, h, namesOf, plain, scrolled, show } from "./dom.js";
import { csvOf, read } from "./tables.js";

// Rows, and characters, of one request where a file can be sent in parts; rows of the preview.
const PART = 1000, PART_SIZE = 1_000_000, PREVIEW = 100;

/**
 * Answers to all rows of a table, as tables.js reads it. told: called with how many rows are answered, of how many.
 * All rows are answered by the version that answered the first. Throws Refused, with rows counted from the first.
 */
export async function score(table, card, path, { signal, told }) {
  const whole = !table.parts || card.rows === "sequence";
  const parts = whole ? [[table.body, 0]] : inParts(table.parts);
  const found = { predictions: [], probabilities: null, warnings: [], warned: 0, header: 0, version: null };
  let header = null;
  for (const [body, rows] of parts) {
    const from = found.predictions.length;
    const { value } = await predict(path, header === null ? body : `${header}\n${body}`, { type: table.type, signal }).catch((error) => {
      for (const one of error.details ?? []) if (one.row !== undefined) one.row += from;
      error.message = error.message.replace(/^row (\d+)/, (_, row) => `row ${Number(row) + from}`);
      throw error;
    });
    if (found.version === null) {
      found.version = value.version;
      path = `${pathOf(value.model, value.version)}/predict`;
      found.header = table.type === "text/csv" ? (whole ? table.parts.length : rows) - value.predictions.length : 0;
      // The parts after the first must be read as the first was, whatever stands in their first line.
      if (table.type === "text/csv") header = found.header === 1 ? table.parts[0] : csvOf([namesOf(card.signature.columns)])[0].trimEnd();
    }
    for (const one of value.predictions) found.predictions.push(one);
    for (const one of value.probabilities ?? []) (found.probabilities ??= []).push(one);
    for (const one of value.warnings ?? []) found.warnings.push({ ...one, row: one.row === undefined ? undefined : one.row + from });
    found.warned += value.warnings_total ?? value.warnings?.length ?? 0;
    told(found.predictions.length, whole ? found.predictions.length : table.parts.length - found.header);
  }
  return found;
}

function inParts(lines) {
  const parts = [];
  let [some, size] = [[], 0];
  const close = () => {
    if (some.length) parts.push([`${some.join("\n")}\n`, some.length]);
    [some, size] = [[], 0];
  };
  for (const line of lines) {
    if (some.length >= PART || (some.length > 1 && size + line.length > PART_SIZE)) close();
    some.push(line);
    size += line.length;
  }
  close();
  return parts;
}

/** The answers as columns of texts: those of the service's own CSV. */
export function columnsOf(outputs, found) {
  const one = outputs.length === 1;
  const text = (value) => (value === null || value === undefined ? "" : String(value));
  const columns = outputs.map(({ name }) => ({ name: one ? "prediction" : name, of: (i) => text(one ? found.predictions[i] : found.predictions[i]?.[name]) }));
  for (const { name, classes } of outputs.filter((output) => output.probabilities && found.probabilities)) {
    const chances = (i) => (one ? found.probabilities[i] : found.probabilities[i]?.[name]);
    for (const label of classes.map(plain)) columns.push({ name: `probability_${one ? "" : `${name}_`}${label}`, of: (i) => text(chances(i)?.[label]) });
  }
  return columns;
}

/** The rows beside their answers: names of columns, and a function from a row's index to its cells. */
export function joined(table, card, found) {
  const columns = columnsOf(card.outputs, found);
  const cells = table.cells?.slice(found.header);
  const fits = cells?.length === found.predictions.length;
  const names = !fits ? [] : table.type !== "text/csv" ? table.names : found.header ? table.cells[0] : namesOf(card.signature.columns);
  const own = (i) => (fits ? names.map((_, j) => cells[i][j] ?? "") : []);
  return { names: [...names, ...namesOf(columns)], row: (i) => [...own(i), ...columns.map((one) => one.of(i))], inputs: names.length };
}

/** The part of the page. model: gives {card, path} of what is shown. drawn: called with the answers of a sequence. */
export function manyRows({ model, drawn }) {
  const input = h("input", { type: "file", id: "file", class: "unseen", accept: ".csv,.json,.jsonl,.ndjson,.npy,.parquet,.arrow,.txt" });
  const area = h("textarea", { id: "pasted", rows: 4, spellcheck: "false", class: "code", "aria-label": "Rows as CSV" });
  const result = h("div", { class: "result" });
  let running = null;

  async function run(bytes, name) {
    running?.abort();
    const own = (running = new AbortController());
    const { card, path } = model();
    const table = read(bytes, card.signature.columns);
    const bar = h("progress", { "aria-label": "Rows answered" });
    const words = h("span", {}, "Reading …");
    show(result, h("div", { class: "progress" }, bar, words, h("button", { type: "button", class: "plain", onclick: () => own.abort() }, "Stop")));
    const started = performance.now();
    try {
      const found = await score(table, card, path, {
        signal: own.signal,
        told(done, all) {
          [bar.value, bar.max] = [done, all];
          words.textContent = `${count(done, "row")} of ${count(all, "row")}`;
        },
      });
      if (running !== own) return;
      const all = joined(table, card, found);
      summary(result, all, found, (performance.now() - started) / 1000, name);
      if (card.rows === "sequence") drawn(all, found, result);
    } catch (error) {
      if (running !== own) return;
      if (error.name === "AbortError") show(result, h("p", { class: "quiet" }, "Stopped."));
      else if (error.status === undefined) throw error;
      else refused(result, error, () => run(bytes, name));
    }
  }

  const opened = async (file) => file && run(new Uint8Array(await file.arrayBuffer()), file.name);
  const pasted = () => area.value.trim() && run(new TextEncoder().encode(area.value), "rows.csv");
  input.addEventListener("change", () => {
    opened(input.files[0]);
    input.value = "";
  });
  area.addEventListener("paste", () => setTimeout(pasted));
  const zone = h("div", { class: "drop" },
    h("p", {}, h("label", { for: "file", class: "button" }, "Choose a file"), input, h("span", { class: "quiet" }, " or drop it here: CSV, JSON, JSON lines, NumPy")), area,
    h("button", { type: "button", class: "button second", onclick: pasted }, "Predict these rows"));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") opened(event.dataTransfer.files[0]);
    });
  }
  return {
    element: h("div", {}, zone, result),
    reset(card) {
      running?.abort();
      running = null;
      area.value = "";
      area.placeholder = `or paste rows:\n${namesOf(card.signature.columns).join(",").slice(0, 300)}\n…`;
      show(result);
    },
  };
}

function summary(box, table, found, seconds, name) {
  const rows = found.predictions.length;
  const shown = Math.min(rows, PREVIEW);
  const save = h("button", { type: "button", class: "button", onclick: () => download(table, rows, name) }, "Download CSV");
  const order = [...table.names.keys()].sort((a, b) => (a < table.inputs) - (b < table.inputs));
  const head = h("tr", {}, h("th", { scope: "col" }, "row"), order.map((j) => h("th", { scope: "col", class: j < table.inputs ? null : "answer" }, table.names[j])));
  const lines = Array.from({ length: shown }, (_, i) => {
    const cells = table.row(i);
    return h("tr", {}, h("th", { scope: "row" }, String(i)), order.map((j) => h("td", { class: j < table.inputs ? null : "answer", title: cells[j].length > 12 ? cells[j] : null }, short(cells[j], j >= table.inputs))));
  });
  const took = `${count(rows, "row")} in ${seconds.toFixed(seconds < 10 ? 2 : 0)} s`;
  $("spoken").textContent = took;
  show(box,
    h("div", { class: "done" }, h("p", {}, h("strong", {}, took),
      h("span", { class: "quiet" }, `, by version ${found.version}${found.warned ? `, ${count(found.warned, "warning")}` : ""}`)), save),
    found.warned > 0 && h("details", { class: "warnings" }, h("summary", {}, count(found.warned, "warning")),
      h("ul", {}, found.warnings.slice(0, 20).map((one) => h("li", {}, `${one.row === undefined ? "" : `row ${one.row}, `}${one.column ? `${one.column}: ` : ""}${one.message}`)))),
    scrolled("Rows and answers", h("table", {}, h("thead", {}, head), h("tbody", {}, lines))),
    shown < rows && h("p", { class: "quiet" }, `The first ${count(shown, "row")}; the file has all.`));
}

const short = (text, answer) => (answer && /^-?\d+\.\d{5,}(e[-+]?\d+)?$/.test(text) ? brief(Number(text), 4) : text.length > 60 ? `${text.slice(0, 59)}…` : text);

function download(table, rows, name) {
  const lines = csvOf([table.names, ...Array.from({ length: rows }, (_, i) => table.row(i))]);
  const url = URL.createObjectURL(new Blob(lines, { type: "text/csv" }));
  h("a", { href: url, download: `${name.replace(/\.[a-z]+$/i, "")}-predicted.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
