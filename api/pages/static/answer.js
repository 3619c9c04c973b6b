// Shows what the model answers: the label or the number large, its probabilities as bars, what there is to say of it.

import { brief, h, isNumber, percent, plain, show } from "./dom.js";

// Bars that are shown at once.
const MOST = 8;

const LOW = /(^|[_ .-])(low|lower|min|[qp]0?(1|5|10|25))$/i;
const HIGH = /(^|[_ .-])(high|upper|max|[qp](75|90|95|99))$/i;

/** The outputs of a model as a person sees them: what it answers, and the two that are a band around the first of it. */
export function sorted(outputs) {
  const numbers = outputs.filter((one) => !one.classes);
  const [low, high] = [numbers.find((one) => LOW.test(one.name)), numbers.find((one) => HIGH.test(one.name))];
  const band = low && high && outputs.length > 2 ? { low: low.name, high: high.name } : null;
  return { main: outputs.filter((one) => !band || (one !== low && one !== high)), band };
}

/** Elements for the answer to one row, and the same in one sentence, to be read aloud. */
export function answered(outputs, prediction, probabilities) {
  if (outputs.length === 1) {
    const [chance, bars] = chances(probabilities, prediction);
    return {
      elements: [large(prediction, chance), exactly(prediction), bars],
      sentence: `${brief(prediction)}${chance === null ? "" : `, ${percent(chance)}`}`,
    };
  }
  const { main, band } = sorted(outputs);
  const [elements, sentences] = [[], []];
  main.forEach(({ name }, i) => {
    const value = prediction?.[name] ?? null;
    const [chance, bars] = chances(probabilities?.[name], value);
    const around = band && i === 0 && prediction ? `between ${brief(prediction[band.low], 4)} and ${brief(prediction[band.high], 4)}` : null;
    elements.push(h("div", {},
      h("p", { class: "output-name" }, name), large(value, chance, i > 0 && Boolean(band)), i === 0 && exactly(value),
      around && h("p", { class: "around", title: `${band.low} – ${band.high}` }, around), bars));
    sentences.push(`${name} ${brief(value)}${chance === null ? "" : `, ${percent(chance)}`}${around ? `, ${around}` : ""}`);
  });
  return { elements: [h("div", { class: "outputs" }, elements)], sentence: sentences.join("; ") };
}

function large(value, chance, small = false) {
  const none = value === null || value === undefined;
  const text = none ? "no answer" : brief(value);
  return h("p", { class: `label${none ? " none" : ""}${small ? " small" : ""}${text.length > 18 ? " long" : ""}` }, text,
    chance !== null && h("span", { class: "chance" }, percent(chance)));
}

/** The number as it came, where what is shown large is not all of it. */
function exactly(value) {
  return isNumber(value) && brief(value) !== plain(value).replace(/\.0$/, "") ? h("p", { class: "exactly" }, `exactly ${plain(value)}`) : null;
}

/** The probability of the answer, and bars of all, the most probable first. */
function chances(probabilities, prediction) {
  if (!probabilities) return [null, null];
  const all = Object.entries(probabilities).sort(([, a], [, b]) => Number(b) - Number(a));
  const own = all.find(([name]) => name === plain(prediction));
  const rest = all.slice(MOST);
  const bars = (some) => h("ul", { class: "bars" }, some.map(([name, chance]) => bar(name, chance, name === plain(prediction))));
  return [own ? own[1] : null, [bars(all.slice(0, MOST)), rest.length > 0 && h("details", {}, h("summary", {}, `${rest.length} more`), bars(rest))]];
}

function bar(name, chance, chosen) {
  const rule = h("span", { class: "rule", "aria-hidden": "true" }, h("span"));
  rule.firstChild.style.inlineSize = `${Math.min(Math.max(Number(chance), 0), 1) * 100}%`;
  return h("li", { class: chosen ? "chosen" : null }, h("span", { class: "class" }, name), rule, h("span", { class: "share", title: plain(chance) }, chance === null ? "–" : percent(chance)));
}

/** A refusal in words that a person can act on. again: what the button does. */
export function refused(box, error, again) {
  const title = {
    0: "No connection", 404: "Not there", 413: "Too large", 415: "Not read here", 422: "Not what the model takes",
    500: "The model failed", 503: "Not now", 504: "It took too long",
  }[error.status] ?? "No answer";
  show(box, h("div", { class: "calm", role: "alert" }, h("h3", {}, title), h("p", {}, error.message),
    error.details.length > 1 && h("ul", {}, error.details.map((one) => h("li", {}, cell(one))),
      error.total > error.details.length && h("li", {}, `and ${error.total - error.details.length} more`)),
    (error.id || again) && h("p", { class: "quiet small" }, error.id && ["request ", h("code", {}, error.id)], again && h("button", { type: "button", class: "plain", onclick: again }, "Try again"))));
}

/** One bad cell, as a sentence. */
export function cell({ row, column, expected, got, near }, place = true) {
  const where = place ? [row !== undefined && row !== null && `row ${row}`, column && `column ${column}`].filter(Boolean).join(", ") : "";
  const hint = near?.length ? `; did you mean ${near.join(", ")}?` : "";
  const wanted = expected.replace(/^(?=number|boolean|string|datetime)/, "a ").replace(/^(?=integer)/, "an ");
  return `${where}${where ? ": expects " : "Expects "}${wanted}, got ${got}${hint}`;
}
