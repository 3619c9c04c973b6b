// A form from a model's signature: each column gets the control that its type, range or categories ask for.

import { brief, h, isNumber } from "./dom.js";
import { token } from "./exact.js";

// Categories that a person picks from a list at a glance; more are searched.
const AT_A_GLANCE = 15;
// Columns above which there is a box to find one, and the form scrolls by itself.
const MANY = 16;
const TYPED = { type: "text", autocomplete: "off", spellcheck: "false" };

/** columns: of the signature. changed: called after each change by the person. */
export class Form {
  constructor(columns, changed) {
    this.fields = columns.map((column, i) => field(column, i, changed));
    this.byName = new Map(this.fields.map((one) => [one.column.name, one]));
    const grid = h("div", { class: "fields" }, this.fields.map((one) => one.element));
    this.element = columns.length > MANY ? searched(this.fields, grid) : grid;
  }

  /** Fill in a record; a value of `undefined` leaves its field as it is. */
  set(record) {
    for (const one of this.fields) if (record[one.column.name] !== undefined) one.set(record[one.column.name]);
  }

  /** Pairs of a column's name and its value as JSON text. */
  entries(but = {}) {
    return this.fields.map(({ column, get }) => [column.name, Object.hasOwn(but, column.name) ? but[column.name] : get()]);
  }

  /** Each field's own words, to be filled in again after the form was made anew. */
  values() {
    return Object.fromEntries(this.fields.map((one) => [one.column.name, one.value()]));
  }

  /** Say what is wrong, or odd, beside the field. Returns whether there is such a field. */
  note(name, kind, text) {
    const found = this.byName.get(name);
    found?.note(kind, text);
    return Boolean(found);
  }

  clear() {
    for (const one of this.fields) one.note("", "");
  }
}

function searched(fields, grid) {
  const find = h("input", { type: "search", id: "find", placeholder: `Find one of ${fields.length} columns`, "aria-label": "Find a column" });
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    for (const one of fields) one.element.hidden = !one.column.name.toLowerCase().includes(wanted);
  });
  return h("div", {}, find, h("div", { class: "many", tabindex: 0, role: "group", "aria-label": "Columns" }, grid));
}

function field(column, i, changed) {
  const id = `field-${i}`;
  const about = { column, named: { id, "aria-describedby": `hint-${i} note-${i}` }, changed: () => changed(column.name) };
  const control = controlOf(column)(about);
  const note = h("p", { class: "note", id: `note-${i}` });
  const missing = column.nullable && h("input", { type: "checkbox", id: `missing-${i}`, "aria-label": `${column.name} is missing` });
  const element = h("div", { class: "field" },
    h("div", { class: "over" },
      h("label", { for: id }, column.name),
      h("span", { class: "hint", id: `hint-${i}` }, aboutColumn(column)),
      missing && h("label", { class: "missing" }, missing, "missing")),
    control.element, note);
  const disable = () => {
    for (const input of element.querySelectorAll("input, select, textarea")) if (input !== missing) input.disabled = missing.checked;
    element.classList.toggle("without", missing.checked);
  };
  missing && missing.addEventListener("change", () => {
    disable();
    changed(column.name);
  });
  const absent = () => Boolean(missing && missing.checked);
  return {
    column,
    element,
    get: () => (absent() ? "null" : token(column, control.get())),
    value: () => (absent() ? null : control.get()),
    set(value) {
      if (missing) {
        missing.checked = value === null;
        disable();
      }
      if (value !== null) control.set(value);
    },
    note(kind, text) {
      const main = element.querySelector(`#${id}`);
      element.dataset.note = kind;
      if (kind === "error") main.setAttribute("aria-invalid", "true");
      else main.removeAttribute("aria-invalid");
      note.replaceChildren(...(text ? [h("span", { class: "unseen" }, kind === "error" ? "Error: " : "Warning: "), text] : []));
    },
  };
}

function aboutColumn(column) {
  if (isNumber(column.minimum)) return `${brief(column.minimum)} – ${brief(column.maximum)}`;
  if (column.categories && column.categories.length > AT_A_GLANCE) return `${column.categories.length} categories`;
  return { number: "number", integer: "whole number" }[column.type] ?? "";
}

function controlOf(column) {
  if (column.type === "boolean") return checkbox;
  if (column.type === "datetime") return moment;
  if (column.type !== "string") return number;
  if (!column.categories) return text;
  return column.categories.length > AT_A_GLANCE ? search : pick;
}

function number({ column, named, changed }) {
  const slider = sliderOf(column);
  const input = h("input", { ...named, ...TYPED, inputmode: "decimal" });
  const follow = () => {
    if (slider && input.value.trim() !== "") slider.value = input.value;
  };
  input.addEventListener("input", () => {
    follow();
    changed();
  });
  slider?.addEventListener("input", () => {
    input.value = brief(Number(slider.value), 12);
    changed();
  });
  return {
    element: h("div", { class: "dial" }, slider, input),
    get: () => input.value,
    set(value) {
      input.value = column.type === "number" ? String(value).replace(/\.0$/, "") : String(value);
      follow();
    },
  };
}

/** A slider over the range of the training; none where it has no width, or where it could not be exact. */
function sliderOf(column) {
  const [low, high] = [Number(column.minimum), Number(column.maximum)];
  const whole = column.type === "integer";
  if (!isNumber(column.minimum) || !(high > low) || !Number.isFinite(high - low)) return null;
  if (whole && !(Number.isSafeInteger(low) && Number.isSafeInteger(high))) return null;
  const fine = 10 ** Math.floor(Math.log10((high - low) / 30));
  const step = whole ? Math.max(1, fine) : fine;
  const round = (steps) => String(Number((steps * step).toPrecision(12)));
  const [min, max] = whole ? [low, high] : [round(Math.floor(low / step + 1e-9)), round(Math.ceil(high / step - 1e-9))];
  return h("input", { type: "range", min, max, step: whole ? step : round(1), "aria-label": `${column.name}, slider` });
}

function checkbox({ named, changed }) {
  const input = h("input", { type: "checkbox", role: "switch", ...named, onchange: changed });
  return { element: h("div", { class: "switch" }, input), get: () => String(input.checked), set: (value) => (input.checked = String(value) === "true") };
}

function pick({ column, named, changed }) {
  const select = h("select", { ...named, onchange: changed }, column.categories.map(option));
  const set = (value) => {
    if (![...select.options].some((one) => one.value === value)) select.append(option(value));
    select.value = value;
  };
  return { element: select, get: () => select.value, set };
}

const option = (category) => h("option", { value: category }, category === "" ? "(empty)" : category);

/**
 * A box that searches a long list. A browser offers only what fits the text that is there, so the text steps aside
 * while the box has the focus, and comes back where nothing else was chosen.
 */
function search({ column, named, changed }) {
  const list = h("datalist", { id: `${named.id}-list` }, column.categories.map((category) => h("option", { value: category })));
  const known = new Set(column.categories);
  const input = h("input", { ...named, ...TYPED, list: list.id });
  let aside = null;
  input.addEventListener("focus", () => {
    if (!known.has(input.value)) return;
    aside = input.placeholder = input.value;
    input.value = "";
  });
  input.addEventListener("blur", () => {
    if (aside !== null && input.value === "") input.value = aside;
    aside = null;
  });
  input.addEventListener("input", () => {
    if (input.value !== "") aside = null;
    if (input.value !== "" || aside === null) changed();
  });
  return { element: h("div", {}, input, list), get: () => (aside !== null && input.value === "" ? aside : input.value), set: (value) => (input.value = value) };
}

/** A day where the example has no hour, else a moment. */
function moment({ named, changed }) {
  const input = h("input", { ...named, type: "date", oninput: changed });
  return {
    element: input,
    get: () => input.value,
    set(value) {
      const text = String(value);
      if (/[T ]\d\d:\d\d/.test(text) && !/[T ]00:00(:00(\.0+)?)?$/.test(text)) {
        input.type = "datetime-local";
        input.step = "any";
      }
      input.value = input.type === "date" ? text.slice(0, 10) : (text.length > 10 ? text : `${text}T00:00`).replace(" ", "T").slice(0, 23);
    },
  };
}

function text({ named, changed }) {
  const area = h("textarea", { ...named, rows: 3, oninput: changed });
  return { element: area, get: () => area.value, set: (value) => (area.value = value) };
}
