// Reads files of rows as far as it takes to show them and to send them in parts: CSV, JSON lines, JSON, NumPy.

import { parse } from "./exact.js";
import { namesOf, plain } from "./dom.js";

const WRAPPERS = ["instances", "inputs", "data", "dataframe_split", "dataframe_records"];
const decoder = new TextDecoder("utf-8");

/**
 * What is in a file. type: its Content-Type. parts: texts that can be sent one after the other, a row each, the header
 * among them; null where the file goes whole, as `body`. cells: each row's cells as texts; names: their columns, null
 * where only the service knows whether the first line names them.
 */
export function read(bytes, columns) {
  const start = String.fromCharCode(...bytes.subarray(0, 8));
  if (start.startsWith("\u0093NUMPY")) return { type: "application/x-npy", body: bytes, ...shown(() => npy(bytes, columns)) };
  if (start.startsWith("PAR1")) return { type: "application/vnd.apache.parquet", body: bytes, parts: null, cells: null };
  if (start.startsWith("\u00ff\u00ff\u00ff\u00ff")) return { type: "application/vnd.apache.arrow.stream", body: bytes, parts: null, cells: null };
  const text = decoder.decode(bytes).replace(/^\ufeff/, "");
  if (/^\s*[[{]/.test(text)) {
    const value = attempt(() => parse(text));
    if (value !== undefined) return { type: "application/json", body: bytes, ...shown(() => rowsOf(value, columns)) };
    const parts = text.split("\n").filter((line) => line.trim() !== "");
    return { type: "application/jsonlines", body: bytes, parts, ...shown(() => rowsOf(parts.map(parse), columns)) };
  }
  const { parts, cells } = csv(text, columns.length === 1);
  return { type: "text/csv", body: bytes, parts, cells, names: null };
}

function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** What can be shown of the rows; nothing where the service may read more than this page does. */
function shown(read) {
  return { parts: null, cells: null, names: [], ...(attempt(read) ?? {}) };
}

/** The records of a CSV (RFC 4180): the text of each, and its cells. An empty line counts where a row is one cell. */
export function csv(text, single = false) {
  const [parts, cells] = [[], []];
  const pattern = /("[^"]*(?:""[^"]*)*"?[^,\r\n]*|[^,\r\n]*)(,|\r\n|\n|\r|$)/gy;
  let [row, from] = [[], 0];
  while (pattern.lastIndex < text.length || row.length) {
    const found = pattern.exec(text);
    row.push(found[1].startsWith('"') ? found[1].slice(1).replace(/"([^"]*)$/, "$1").replaceAll('""', '"') : found[1]);
    if (found[2] === ",") continue;
    const part = text.slice(from, pattern.lastIndex).replace(/[\r\n]+$/, "");
    from = pattern.lastIndex;
    if (part !== "" || single) {
      parts.push(part);
      cells.push(row);
    }
    row = [];
    if (from >= text.length) break;
  }
  return { parts, cells };
}

/** Rows of a JSON value in any of the shapes that the service takes. */
function rowsOf(value, columns) {
  const names = namesOf(columns);
  const own = new Set(names);
  while (!Array.isArray(value) && value !== null && typeof value === "object") {
    const wrapper = WRAPPERS.find((name) => Object.hasOwn(value, name) && !own.has(name));
    if (!wrapper || (wrapper === "data" && Object.hasOwn(value, "columns"))) break;
    value = value[wrapper];
  }
  if (!Array.isArray(value)) {
    if (Array.isArray(value.columns) && Array.isArray(value.data) && !own.has("data")) return { names: value.columns.map(plain), cells: value.data.map(texts) };
    const lists = Object.values(value);
    if (!lists.length || !Array.isArray(lists[0])) value = [value];
    else return { names: Object.keys(value), cells: lists[0].map((_, i) => lists.map((list) => text(list[i]))) };
  }
  if (value.every(Array.isArray)) return { names, cells: value.map(texts) };
  if (value.every((one) => one !== null && typeof one === "object" && !(one instanceof Number))) {
    const all = [...new Set(value.flatMap(Object.keys))];
    return { names: all, cells: value.map((one) => all.map((name) => text(one[name]))) };
  }
  return { names, cells: columns.length === 1 ? value.map((one) => [text(one)]) : [texts(value)] };
}

const text = (value) => (value === null || value === undefined ? "" : String(value));
const texts = (values) => values.map(text);

/** The rows of a NumPy file of numbers: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
function npy(bytes, columns) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const wide = view.getUint8(6) > 1;
  const start = wide ? 12 : 10;
  const size = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const head = decoder.decode(bytes.subarray(start, start + size));
  const [, order, kind, width] = /'descr': '([<>|=])([fiub])(\d)'/.exec(head);
  const [rows, across] = /'shape': \((\d+), (\d+)\)/.exec(head).slice(1).map(Number);
  const name = { f4: "Float32", f8: "Float64", i8: "BigInt64", u8: "BigUint64", b1: "Uint8" }[kind + width] ?? `${kind === "u" ? "Uint" : "Int"}${width * 8}`;
  const one = (i) => view[`get${name}`](start + size + i * width, order !== ">");
  const column = head.includes("'fortran_order': True");
  const write = (value) => (kind === "b" ? String(Boolean(value)) : Number.isNaN(value) ? "" : String(value));
  const cells = Array.from({ length: rows }, (_, i) => Array.from({ length: across }, (_, j) => write(one(column ? j * rows + i : i * across + j))));
  return { names: namesOf(columns), cells };
}

/** Rows of texts as CSV. */
export function csvOf(rows) {
  return rows.map((row) => `${row.map((one) => (/[",\r\n]/.test(one) || (row.length === 1 && one === "") ? `"${one.replaceAll('"', '""')}"` : one)).join(",")}\n`);
}
