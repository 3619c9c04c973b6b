// The page: what is served, and which model of it is shown.

import { about, drifting, sentence, tags, versions } from "./card.js";
import { ask, pathOf } from "./ask.js";
import { fromCode } from "./code.js";
import { Curve, sequence } from "./curve.js";
import { $, count, day, h, panel, show } from "./dom.js";
import { manyRows } from "./rows.js";
import { Try } from "./try.js";

const EVERY = 10_000; // milliseconds between two looks at what is served
const FILTERED = 8; // models above which there is a box to find one

const address = (name, version) => `#/${encodeURIComponent(name)}${version ? `/${encodeURIComponent(version)}` : ""}`;
const asked = () => `${pathOf(state.name, state.version)}/predict`;

// models: as /models lists them. name, version: of the address. model: its card; card: of the version that is shown.
const state = { models: null, name: null, version: null, model: null, card: null, one: null, opening: 0 };
const code = fromCode();
const rows = manyRows({ model: () => ({ card: state.card, path: asked() }), drawn });

/** Ask what is served. Returns whether the service is back after it was away. */
async function look() {
  try {
    const { value } = await ask("models");
    const back = $("status").dataset.state === "away";
    state.models = value.models;
    const bad = state.models.filter((one) => one.status === "not_ready").length;
    const all = count(state.models.length, "model");
    if (bad) tell("some", `${bad} of ${all} cannot serve`);
    else tell("well", state.models.length ? `${all} ready` : "no model yet");
    list();
    return back;
  } catch (error) {
    tell("away", "not reachable");
    if (!state.models) show($("model"), h("div", { class: "panel calm" }, h("h1", {}, "One moment"), h("p", {}, error.message)));
    return false;
  }
}

function tell(kind, words) {
  $("status").dataset.state = kind;
  if ($("status-words").textContent !== words) $("status-words").textContent = words;
}

function list() {
  $("find-model").hidden = state.models.length <= FILTERED;
  const wanted = $("find-model").value.trim().toLowerCase();
  const aside = (one) => (one.status === "ready" ? one.default && "default" : one.status.replace("_", " "));
  show($("models"), state.models.filter((one) => one.name.includes(wanted)).map((one) =>
    h("li", {}, h("a", { href: address(one.name), title: one.name, "aria-current": one.name === state.name ? "page" : null }, h("span", {}, one.name), aside(one) && h("span", { class: "aside" }, aside(one))))));
  $("models").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** Show what the address names, or else the default model. */
async function route() {
  if (!state.models) return;
  const [named, version] = location.hash.slice(2).split("/").map(decoded);
  const first = state.models.find((one) => one.default) ?? state.models.find((one) => one.status === "ready") ?? state.models[0];
  const name = named || first?.name;
  if (name) await open(name, version || null);
  else {
    show($("model"), h("div", { class: "panel" }, h("h1", {}, "No model yet"),
      h("p", {}, "Train one, and it is served within two seconds; this page shows it by itself."), h("pre", {}, "python -m train iris")));
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function open(name, version) {
  const own = ++state.opening;
  const kept = state.name === name ? state.one?.form.values() : null;
  let refusal = null;
  const cards = await Promise.all([pathOf(name), ...(version ? [pathOf(name, version)] : [])].map((path) => ask(path))).catch((error) => {
    if (error.status === undefined) throw error;
    refusal = error;
    return [];
  });
  if (own !== state.opening) return;
  state.one?.stop();
  const [model, card] = cards.map((one) => one.value);
  Object.assign(state, { name, version, model: model ?? null, card: card ?? model ?? null, one: null });
  document.title = `${name} · Tepal`;
  list();
  if (state.card?.status === "ready") ready(kept);
  else notReady(refusal);
}

function notReady(refusal) {
  const { name, version, model, card } = state;
  const others = (model?.versions ?? []).filter((number) => number !== version);
  const elsewhere = state.models.find((one) => one.name === name)?.status === "elsewhere";
  let [title, reason] = [version ? "This version cannot serve" : "It cannot serve", card?.reason ?? refusal?.message ?? "It gave no reason."];
  if (refusal?.status === 404) title = "There is no such model here";
  else if (elsewhere) [title, reason] = ["It has replicas of its own", "They answer for it where the service is reached through nginx; this replica does not have it."];
  show($("model"), h("header", { class: "head" }, h("h1", {}, name), version && h("p", { class: "quiet" }, `version ${version}`)),
    h("div", { class: "panel calm" }, h("h2", {}, title), h("p", {}, reason),
      others.length > 0 && h("p", {}, "Its other versions: ", others.map((number, i) => [i > 0 && ", ", h("a", { href: address(name, number) }, `version ${number}`)]))));
}

function ready(kept) {
  const { card, model, name, version } = state;
  state.one = new Try(card, asked(), kept, (body) => code.write(new URL(asked(), document.baseURI).href, body));
  const select = model.versions.length === 1 && !version ? h("span", { class: "tag" }, `version ${card.version}`)
    : h("select", { "aria-label": "Version", onchange: () => (location.hash = address(name, select.value)) },
      h("option", { value: "" }, `default: version ${model.default_version ?? "–"}`),
      [...model.versions].reverse().map((number) => h("option", { value: number, selected: number === version }, `version ${number}`)));
  show($("model"),
    h("header", { class: "head" }, h("div", { class: "title" }, h("h1", {}, name), select, h("span", { id: "tags", class: "tags" })),
      h("p", { class: "lead" }, sentence(card)),
      h("p", { class: "quiet" }, `${estimator(card)}, trained on ${count(card.trained.rows, "row")}, ${day(card.trained.at)}`)),
    state.one.element,
    panel("rows", "Many rows", rows.element),
    code.element,
    panel("traffic", "Versions and traffic", h("div", { id: "versions" })),
    panel("card", "About this model", about(card)));
  rows.reset(card);
  glance();
  state.one.now();
}

/** The outermost name of an estimator, and of what a pipeline ends with. */
function estimator(card) {
  const names = [...card.estimator.matchAll(/\b([A-Z]\w+)\(/g)].map((found) => found[1]);
  return names.length > 1 && names[0] === "Pipeline" ? `Pipeline ending in ${names.at(-1)}` : names[0] ?? "Estimator";
}

function glance() {
  const { card, model, version } = state;
  show($("tags"), tags(card, model));
  show($("versions"), versions(model, version ?? card.version, (number) => address(state.name, number)), h("p", { class: "quiet" }, drifting(card)));
}

/** The answers to a file of a sequence, as a curve above them. */
function drawn(table, found, box) {
  const curve = new Curve(state.card, state.one.form, () => {});
  const texts = found.predictions.map((_, i) => Object.fromEntries(table.row(i).map((text, j) => [table.names[j], text])));
  box.prepend(curve.box);
  curve.draw(sequence(state.card, texts), found.predictions, found.probabilities);
}

async function refresh() {
  const known = state.card;
  const back = await look();
  if (!state.models) return;
  if (known?.status !== "ready") return route();
  try {
    const { value: model } = await ask(pathOf(state.name));
    if (state.card !== known) return;
    if (!state.version && model.version !== known.version) return route();
    state.model = model;
    if (!state.version) state.card = { ...known, drift: model.drift };
    glance();
    if (back) state.one.now();
  } catch (error) {
    if (error.status) route(); // it is gone, or bad now
  }
}

addEventListener("hashchange", route);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("model").focus();
});
$("find-model").addEventListener("input", list);
setInterval(() => document.hidden || refresh(), EVERY);
fetch("version").then(async (response) => ($("version").textContent = await response.text()), () => {});
await look();
await route();
