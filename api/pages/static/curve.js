// The curve beside the answer: a sequence along its rows, or how the answer changes along one column.

import { predict, pathOf } from "./ask.js";
import { sorted } from "./answer.js";
import { draw } from "./chart.js";
import { brief, h, isNumber, moment, namesOf, plain, show } from "./dom.js";
import { record } from "./exact.js";

const POINTS = 81;
const WIDE = 20; // columns above which it is drawn where one opens it
// Lines of one chart; the classes with the highest probabilities are shown.
const LINES = 4;
const DAY = 86_400_000;
const SPANS = { "30 days": 30, "6 months": 182, "2 years": 730 };

/** Whether a model has a curve to draw: null, or the columns along which. */
export function axes(card) {
  if (card.rows === "sequence") return card.outputs.some((one) => !one.classes || one.probabilities) ? [] : null;
  if (!card.outputs.some((one) => !one.classes || one.probabilities)) return null;
  const wide = (one) => isNumber(one.minimum) && Number(one.maximum) > Number(one.minimum);
  const fit = card.signature.columns.filter((one) => one.type === "datetime" || (["number", "integer"].includes(one.type) && wide(one)));
  return fit.length ? fit.sort((a, b) => (b.type === "datetime") - (a.type === "datetime")) : null;
}

/** card, form: of the model that is shown. picked: called when a point was chosen for the form. */
export class Curve {
  constructor(card, form, picked) {
    Object.assign(this, { card, form, picked, columns: axes(card) });
    this.box = h("div", { class: "chart" });
    const { band } = sorted(card.outputs);
    const outputs = card.outputs.filter((one) => !one.classes && one.name !== band?.low && one.name !== band?.high);
    this.output = outputs.length > 1 && band ? choose("of", namesOf(outputs), () => this.again()) : null;
    this.along = this.columns?.length ? choose("along", namesOf(this.columns), () => this.again(true)) : null;
    this.span = this.columns?.some((one) => one.type === "datetime") ? choose("over ±", Object.keys(SPANS), () => this.again(), 1) : null;
    this.kept = Boolean(this.span); // the column along which it is drawn; else it follows the person from field to field
    const open = card.signature.columns.length <= WIDE;
    this.element = h("details", { class: "panel curve-panel", open }, h("summary", {}, h("h2", {}, card.rows === "sequence" ? "Row by row" : "How the answer changes")),
      h("div", { class: "choices" }, this.output, this.along, this.span), this.box);
    this.element.addEventListener("toggle", () => this.again());
    new ResizeObserver(() => this.drawn?.()).observe(this.box);
  }

  /** Draw for the answer {value: the service's own, signal}, to what the form holds. */
  async update(answer) {
    this.answer = answer;
    if (!this.element.open || !this.columns) return;
    if (this.card.rows === "sequence") {
      const points = sequence(this.card, answer.rows);
      return this.draw({ ...points, mark: points.xs.at(-1) }, answer.value.predictions, answer.value.probabilities);
    }
    const column = this.columns.find((one) => one.name === chosen(this.along));
    if (this.span) this.span.hidden = column.type !== "datetime";
    const points = pointsOf(column, this.form, SPANS[chosen(this.span)]);
    if (!points) return;
    const rows = `[${points.tokens.map((token) => record(this.form.entries({ [column.name]: token }))).join(",")}]`;
    try {
      const path = `${pathOf(this.card.name, answer.value.version)}/predict`;
      const { value } = await predict(path, rows, { signal: answer.signal, own: true });
      this.draw(points, value.predictions, value.probabilities, (i) => {
        this.form.set({ [column.name]: points.words[i] });
        this.picked();
      });
    } catch (error) {
      if (error.name !== "AbortError") show(this.box, h("p", { class: "quiet" }, error.message));
    }
  }

  again(kept = this.kept) {
    this.kept = kept;
    if (this.answer) this.update(this.answer);
  }

  /** Draw along this column from now on, where it can and nobody chose another. */
  follow(name) {
    if (!this.kept && this.columns.some((one) => one.name === name)) this.along.querySelector("select").value = name;
  }

  draw(points, predictions, probabilities, picked) {
    const { main, band } = sorted(this.card.outputs);
    const of = (name) => predictions.map((one) => (this.card.outputs.length === 1 ? one : one?.[name] ?? null));
    const name = chosen(this.output) ?? main.find((one) => !one.classes)?.name;
    let lines = probabilities && name === undefined ? shares(probabilities, this.card) : [{ name, ys: of(name) }];
    if (!band && name !== undefined) lines = main.filter((one) => !one.classes).slice(0, LINES).map((one) => ({ name: one.name, ys: of(one.name) }));
    const around = band && name === main[0].name ? { low: of(band.low), high: of(band.high) } : null;
    const label = `${name ?? "probability"}${this.along ? ` along ${chosen(this.along)}` : ""}`;
    this.drawn = () => draw(this.box, { label, ...points, lines, band: around, picked });
    this.drawn();
  }
}

function choose(label, options, changed, at = 0) {
  const select = h("select", { onchange: changed }, options.map((one, i) => h("option", { value: one, selected: i === at }, one)));
  return h("label", { class: "choice" }, h("span", {}, label), select);
}

const chosen = (choice) => choice?.querySelector("select").value;

/** Probabilities of the classes that reach the highest. */
function shares(probabilities, card) {
  const output = card.outputs.find((one) => one.probabilities);
  const of = (row) => (card.outputs.length === 1 ? row : row[output.name]);
  const lines = output.classes.map(plain).map((name) => ({ name, ys: probabilities.map((row) => of(row)[name]) }));
  const most = lines.map((line) => Math.max(...line.ys.map(Number)));
  const kept = new Set([...lines.keys()].sort((a, b) => most[b] - most[a]).slice(0, LINES));
  return lines.filter((_, i) => kept.has(i));
}

/** Places along a column, as numbers to draw, as JSON to send, and as words for the form. */
export function pointsOf(column, form, days) {
  const token = form.entries().find(([name]) => name === column.name)[1];
  const spread = (low, high) => Array.from({ length: POINTS }, (_, i) => low + ((high - low) * i) / (POINTS - 1));
  if (column.type === "datetime") {
    const now = moment(token.replaceAll('"', ""));
    if (Number.isNaN(now)) return null;
    const xs = spread(now - days * DAY, now + days * DAY).map((one) => Math.round(one / DAY) * DAY);
    const words = xs.map((one) => new Date(one).toISOString().slice(0, 10));
    return { xs, words, tokens: words.map((one) => JSON.stringify(one)), days: true, mark: now };
  }
  const [low, high] = [Number(column.minimum), Number(column.maximum)];
  let xs = spread(low, high);
  if (column.type === "integer") xs = [...new Set(xs.map(Math.round))];
  const words = xs.map((one) => brief(one, 12));
  const mark = Number(token);
  return { xs: words.map(Number), words, tokens: words, days: false, mark: Number.isNaN(mark) || token === "null" ? undefined : mark };
}

/** Places of the rows of a sequence: its days, where it has such a column, else their numbers. rows: names → texts. */
export function sequence(card, rows) {
  const column = card.signature.columns.find((one) => one.type === "datetime");
  const xs = rows.map((row, i) => (column ? moment(row[column.name] ?? "") : i));
  const dated = column && !xs.some(Number.isNaN);
  return { xs: dated ? xs : xs.map((_, i) => i), days: Boolean(dated) };
}
