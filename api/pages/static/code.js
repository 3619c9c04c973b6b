// The request that the form stands for, as curl, Python and JavaScript that run as they are.

import { h, isNumber } from "./dom.js";
import { Exact, parse } from "./exact.js";

export const LANGUAGES = { curl, Python: python, JavaScript: javascript };

/** The part of the page. Its `write` is called with an address and a body. */
export function fromCode() {
  const text = h("code", { id: "code" });
  const said = h("span", { class: "unseen", role: "status" });
  let [language, request] = ["curl", ["", "{}"]];
  const write = (...changed) => {
    if (changed.length) request = changed;
    text.textContent = LANGUAGES[language](...request);
  };
  const copy = h("button", { type: "button", class: "button second", id: "copy", async onclick() {
    await copied(text.textContent);
    said.textContent = copy.textContent = "Copied";
    setTimeout(() => (said.textContent = "", copy.textContent = "Copy"), 1500);
  } }, "Copy");
  const choices = Object.keys(LANGUAGES).map((name) => h("label", {}, h("input", { type: "radio", name: "language", value: name, checked: name === language, onchange() {
    language = name;
    write();
  } }), h("span", {}, name)));
  const element = h("section", { class: "panel", "aria-labelledby": "code-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "code-title" }, "The same from code"), h("fieldset", { class: "segments" }, h("legend", { class: "unseen" }, "Language"), choices), copy, said),
    h("pre", { tabindex: 0, role: "region", "aria-label": "Code" }, text));
  return { element, write };
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page that came over plain HTTP from another machine gets no clipboard.
    const area = h("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function curl(address, body) {
  return `curl -X POST ${quoted(address)} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(body)}`;
}

/** As a POSIX shell reads it as one word. */
const quoted = (text) => (/^[A-Za-z0-9_.:/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function python(address, body) {
  return `import requests\n\nanswer = requests.post(\n    ${JSON.stringify(address)},\n    json=${pythonic(parse(body), 4)},\n    timeout=10,\n)\nprint(answer.json()["predictions"])`;
}

/** A value of JSON as Python writes it. A string of JSON is one of Python too. */
function pythonic(value, indent) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (isNumber(value)) return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (!Array.isArray(value)) return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${pythonic(one, indent)}`).join(", ")}}`;
  return `[\n${value.map((one) => `${" ".repeat(indent + 4)}${pythonic(one, indent + 4)},\n`).join("")}${" ".repeat(indent)}]`;
}

function javascript(address, body) {
  // A number that JavaScript would round, and a key that it would take for the prototype, stay in a text.
  const written = body.includes('"__proto__"') || inexact(parse(body)) ? JSON.stringify(body) : `JSON.stringify(${body})`;
  return `const response = await fetch(${JSON.stringify(address)}, {\n  method: "POST",\n  headers: { "Content-Type": "application/json" },\n  body: ${written},\n});\nconst answer = await response.json();\nconsole.log(answer.predictions);`;
}

function inexact(value) {
  if (value instanceof Exact) return /^-?\d{16,}$/.test(value.text) || !Number.isFinite(Number(value));
  return value !== null && typeof value === "object" && Object.values(value).some(inexact);
}
