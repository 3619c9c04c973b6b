// One row: the form, what it asks, and the answer with its curve. Only the newest question is waited for.

import { answered, cell, refused } from "./answer.js";
import { predict } from "./ask.js";
import { axes, Curve } from "./curve.js";
import { $, count, h, namesOf, panel, show } from "./dom.js";
import { record, token } from "./exact.js";
import { Form } from "./form.js";
import { csv, csvOf } from "./tables.js";

const PAUSE = 120; // milliseconds after a key before the answer is asked for
const ROOM = 3; // columns up to which the curve has room below the form


export class Try {
  /** card: of the version; path: where to ask; kept: values to begin with; sent: called with each body. */
  constructor(card, path, kept, sent) {
    Object.assign(this, { card, path, sent, timer: 0, asking: null });
    const { columns } = card.signature;
    this.form = new Form(columns, (name) => {
      this.curve?.follow(name);
      this.soon();
    });
    this.history = card.rows === "sequence" ? history(() => this.soon()) : null;
    this.example();
    if (kept) this.form.set(kept);
    this.curve = axes(card) ? new Curve(card, this.form, () => this.soon()) : null;
    this.box = h("div", { id: "answer" });
    this.timing = h("p", { class: "timing", id: "timing" });
    const below = columns.length <= ROOM;
    const beside = panel("answered", this.history ? "Its answer" : "The answer", this.box, this.timing);
    this.element = h("div", { class: "try" },
      h("div", { class: "column" },
        h("section", { class: "panel", "aria-labelledby": "ask-title" },
          h("div", { class: "panel-head" }, h("h2", { id: "ask-title" }, this.history ? "The last row" : "Try it"),
            h("button", { type: "button", class: "plain", onclick: () => (this.example(), this.soon()) }, "Back to the example")),
          h("form", { autocomplete: "off", onsubmit: (event) => event.preventDefault() }, this.form.element, this.history?.element)),
        below && this.curve?.element),
      h("div", { class: "column beside" }, beside, !below && this.curve?.element));
    // On a phone the answer is below the form: while it is out of sight, a line at the bottom of the window has it too.
    this.sight = new IntersectionObserver(([{ isIntersecting, boundingClientRect }]) => ($("mini").hidden = isIntersecting || boundingClientRect.top < 0));
    this.sight.observe(beside);
  }

  stop() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.sight.disconnect();
    $("mini").hidden = true;
  }

  example() {
    const { example, signature } = this.card;
    this.form.set(this.history ? example.at(-1) : example);
    if (!this.history) return;
    const names = namesOf(signature.columns);
    const text = (value) => (value === null ? "" : String(value).replace("T00:00:00.000000", ""));
    this.history.area.value = csvOf([names, ...example.slice(0, -1).map((row) => names.map((name) => text(row[name])))]).join("");
  }

  /** The rows before the last one: names → texts, null where there is none. */
  before() {
    if (!this.history) return [];
    const [names, ...rows] = csv(this.history.area.value).cells;
    return rows.map((row) => Object.fromEntries(names.map((name, j) => [name.trim(), row[j] || null])));
  }

  body(before) {
    const last = record(this.form.entries());
    const { columns } = this.card.signature;
    const rows = before.map((row) => record(columns.filter((one) => Object.hasOwn(row, one.name)).map((one) => [one.name, token(one, row[one.name])])));
    return this.history ? `[${[...rows, last].join(",\n")}]` : last;
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), PAUSE);
  }

  async now() {
    clearTimeout(this.timer);
    this.asking?.abort();
    const own = (this.asking = new AbortController());
    const before = this.before();
    const body = this.body(before);
    this.sent(body);
    this.box.setAttribute("aria-busy", "true");
    try {
      const { value, timing } = await predict(this.path, body, { signal: own.signal, own: true });
      if (this.asking !== own) return;
      this.answered(value, before.length, timing);
      this.curve?.update({ value, signal: own.signal, rows: [...before, this.form.values()] });
    } catch (error) {
      if (error.name === "AbortError" || this.asking !== own) return;
      if (error.status === undefined) throw error;
      this.failed(error, before.length);
      if (error.status === 503) this.timer = setTimeout(() => this.now(), Math.max(error.after, 2) * 1000);
    } finally {
      if (this.asking === own) this.box.removeAttribute("aria-busy");
    }
  }

  /** Warnings go beside the field that they speak of, the others below the answer. last: the place of the form's row. */
  answered(value, last, timing) {
    this.clear();
    const prediction = value.predictions[last];
    const here = (value.warnings ?? []).filter((one) => one.row === undefined || one.row === last || (prediction === null && !one.column));
    const rest = here.filter((one) => !this.form.note(one.column, "warning", one.message));
    const { elements, sentence } = answered(this.card.outputs, prediction, value.probabilities?.[last]);
    show(this.box, elements, rest.length > 0 && h("ul", { class: "said" }, rest.map((one) => h("li", {}, one.message))));
    const stages = Object.entries(timing).map(([name, duration]) => h("span", {}, `${name} `, h("b", {}, `${duration.toFixed(duration < 10 ? 2 : 0)} ms`)));
    show(this.timing, h("span", {}, `version ${value.version}`), stages);
    say(sentence, here.length ? `; ${count(here.length, "warning")}` : "");
  }

  /** Errors go beside their fields; what has no field is said in the one place of the answer. */
  failed(error, last) {
    this.clear();
    this.curve?.element.classList.add("stale");
    const here = error.details.filter((one) => one.row === undefined || one.row === last);
    const earlier = this.history ? error.details.filter((one) => !here.includes(one)) : [];
    const placed = here.filter((one) => this.form.note(one.column, "error", cell(one, false)));
    if (earlier.length) {
      show(this.history.note, earlier.map((one) => h("span", {}, cell(one))));
      this.history.element.dataset.note = "error";
      this.history.element.open = true;
    }
    if (!error.details.length || placed.length + earlier.length < error.details.length) {
      say("No answer");
      return refused(this.box, error, () => this.now());
    }
    const where = [...placed.map((one) => one.column), ...(earlier.length ? ["the rows before it"] : [])];
    const words = `Look at ${where.slice(0, 3).join(", ")}${where.length > 3 ? ` and ${where.length - 3} more` : ""}.`;
    show(this.box, h("p", { class: "label none" }, "no answer"), h("p", { class: "quiet" }, words));
    say(words, ` ${placed.map((one) => cell(one)).join("; ")}`);
  }

  clear() {
    this.form.clear();
    this.curve?.element.classList.remove("stale");
    show(this.timing);
    if (!this.history) return;
    show(this.history.note);
    delete this.history.element.dataset.note;
  }
}

function history(changed) {
  const area = h("textarea", { class: "code", rows: 8, spellcheck: "false", id: "history", "aria-describedby": "history-note", oninput: changed });
  const note = h("p", { class: "note", id: "history-note" });
  const label = h("label", { for: "history", class: "unseen" }, "The rows before it, as CSV");
  return { area, note, element: h("details", { class: "history" }, h("summary", {}, "The rows before it"), label, area, note) };
}

/** To who cannot see the answer; more: what is heard only. */
function say(words, more = "") {
  $("mini").textContent = words;
  if ($("spoken").textContent !== words + more) $("spoken").textContent = words + more;
}
