// JSON whose numbers stay as they are written: 9007199254740993 is not rounded, and 1.0 is not 1.

/** A number that JavaScript would write in another way, with its own text. */
export class Exact extends Number {
  constructor(text) {
    super(text);
    this.text = text;
  }
  toString() {
    return this.text;
  }
}

const STRINGS_AND_NUMBERS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = /^\u0001-?\d/;

/** The value of a JSON text. */
export function parse(text) {
  const marked = text.replace(STRINGS_AND_NUMBERS, (found) =>
    found[0] === '"' || String(Number(found)) === found ? found : `"\\u0001${found}"`,
  );
  return JSON.parse(marked, (_, value) => (typeof value === "string" && MARKED.test(value) ? new Exact(value.slice(1)) : value));
}

/** The JSON text of a value. */
export function write(value) {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (typeof value === "object" && !(value instanceof Number)) return record(Object.entries(value).map(([key, one]) => [key, write(one)]));
  return String(value);
}

/** The JSON text of an object. entries: names, and JSON texts. */
export const record = (entries) => `{${entries.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * What was typed for a column as JSON; null is a missing value. What is no number, or no boolean, goes as a string,
 * so that the service says what is wrong with it.
 */
export function token(column, text) {
  if (text === null) return "null";
  const trimmed = text.trim();
  if (column.type === "number" || column.type === "integer") {
    if (DECIMAL.test(trimmed)) return tidy(trimmed);
    return trimmed === "" ? "null" : JSON.stringify(text);
  }
  if (column.type === "boolean" && /^(true|false)$/i.test(trimmed)) return trimmed.toLowerCase();
  if (column.type !== "string" && trimmed === "") return "null";
  return JSON.stringify(text);
}

/** `.5`, `5.`, `+5` and `007` as JSON has them; every digit that counts stays. */
function tidy(text) {
  return text
    .replace(/^\+/, "")
    .replace(/^(-?)\./, "$10.")
    .replace(/^(-?)0+(?=\d)/, "$1")
    .replace(/\.(?=[eE]|$)/, "");
}
