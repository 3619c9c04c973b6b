// Makes elements, and writes numbers and times for people. Data becomes text here, never markup.

export const $ = (id) => document.getElementById(id);

export const namesOf = (all) => all.map((one) => one.name);

/** An element. attributes: `onclick` and the like are listeners; null and false leave one out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for an SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Put these in place of what an element holds. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
}

/** What may be wider or longer than its place, and so scrolls, by keys too. */
export const scrolled = (label, ...children) => h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, children);

/** A part of the page under its title. */
export const panel = (id, title, ...children) =>
  h("section", { class: `panel ${id}`, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), children);

export const isNumber = (value) => typeof value === "number" || value instanceof Number;

/** A number in about `digits` digits that count; any other value as its text. */
export function brief(value, digits = 5) {
  if (!isNumber(value)) return plain(value);
  if (/^-?\d+(\.0)?$/.test(value)) return String(value).replace(".0", "");
  return String(Number(Number(value).toPrecision(digits)));
}

/** A value as its text, whole. */
export function plain(value) {
  return value === null || value === undefined ? "no answer" : String(value);
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A number for the side of a chart: 0.25, 1200, 53K. */
export const tick = (value) => (Math.abs(value) >= 1e4 ? compact.format(value) : String(Number(value.toPrecision(3))));

const grouped = new Intl.NumberFormat("en");

/** A count with its noun: 1 row, 1,200 rows. */
export const count = (number, noun) => `${grouped.format(number)} ${noun}${number === 1 ? "" : "s"}`;

export function percent(share) {
  const value = Number(share) * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  if (value > 99.9 && value < 100) return "> 99.9 %";
  return `${value.toFixed(1)} %`;
}

/** A moment as a day, in words that everyone reads the same: 25 Nov 2026. */
export function day(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime())
    ? String(iso)
    : date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

/** Milliseconds of an ISO text; without a zone it is UTC. */
export const moment = (text) => Date.parse(/[T ]\d\d:[\d:.]+$/.test(text) ? `${text.replace(" ", "T")}Z` : text);

/** Texts as a list in a sentence, the rest counted: a, b, c and 9 more. */
export function listed(texts, most = 4, word = "or") {
  const shown = texts.slice(0, most).map(String);
  const rest = texts.length - shown.length;
  if (rest > 0) return `${shown.join(", ")} and ${rest} more`;
  return shown.length > 1 ? `${shown.slice(0, -1).join(", ")} ${word} ${shown.at(-1)}` : shown.join("");
}
