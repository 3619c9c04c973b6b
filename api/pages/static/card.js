// Tells about a model: what it was trained on and how well it does, its columns, its versions, whether its rows drift.

import { brief, count, day, h, isNumber, listed, namesOf, percent, plain, scrolled } from "./dom.js";
import { write } from "./exact.js";

/** What a model does, in one sentence. */
export function sentence(card) {
  const columns = card.signature.columns;
  const from = columns.length === 1 ? `from ${columns[0].name === "text" ? "a text" : columns[0].name}` : `from ${count(columns.length, "column")}`;
  const outputs = card.outputs;
  let what = outputs.length === 1 ? "a number" : `${outputs.length} values: ${listed(namesOf(outputs), 4, "and")}`;
  if (outputs.length === 1 && outputs[0].classes) {
    const classes = outputs[0].classes.map(plain);
    what = classes.length > 6 ? `one of ${classes.length} classes, such as ${classes.slice(0, 3).join(", ")}` : listed(classes, 6);
  } else if (outputs.length === 1 && !/^y\d*$/.test(outputs[0].name)) what = outputs[0].name;
  return `Predicts ${what}, ${from}${card.rows === "sequence" ? ", where each row's answer depends on the rows before it" : ""}.`;
}

/** Small words beside the name: what was chosen, whether it drifts. */
export function tags(card, model) {
  const traffic = model.traffic ?? {};
  const moved = (card.drift?.columns ?? []).filter((one) => one.state === "drifted");
  const split = traffic.split && `split ${Object.entries(traffic.split).map(([number, weight]) => `${number} = ${plain(weight)}`).join(", ")}`;
  const words = [split, !traffic.split && traffic.pinned && `version ${traffic.pinned} pinned`, traffic.shadow && `version ${traffic.shadow.version} in the shadow`];
  return [words.filter(Boolean).map((one) => h("span", { class: "tag" }, one)), moved.length > 0 && h("span", { class: "tag warn" }, `drift in ${listed(namesOf(moved), 2, "and")}`)];
}

export function about(card) {
  const { confusion_matrix: confusion, ...metrics } = card.metrics;
  return [
    h("div", { class: "pair" },
      h("div", {},
        h("h3", {}, "How well it does"),
        Object.keys(metrics).length ? facts(Object.entries(metrics).map(([name, value]) => [words(name), told(value)])) : h("p", { class: "quiet" }, "No metrics were published with it."),
        h("h3", {}, "How it was made"),
        facts([
          ["trained", `${day(card.trained.at)}, on ${count(card.trained.rows, "row")}`],
          ...Object.entries(card.meta).map(([name, value]) => [words(name), told(value)]),
          ["command", h("code", {}, card.trained.command)],
          ["self-test", `${card.self_test.result}: ${count(card.self_test.golden_rows, "golden row")}`],
          ["runtime", card.runtime],
          ["Python", [card.trained.python, Object.entries(card.trained.packages).map(([name, version]) => `, ${name} ${version}`)]],
          ...Object.entries(card.sha256).map(([file, digest]) => ["sha256", h("code", { title: file }, digest)]),
          ...(card.cautions ?? []).map((one) => ["caution", plain(one)]),
        ]),
        h("details", {}, h("summary", {}, "Estimator"), h("pre", { class: "wrap" }, card.estimator))),
      confusion && matrix(confusion, card)),
    h("h3", {}, "What it takes"),
    columns(card),
  ];
}

const words = (name) => name.replaceAll("_", " ");

const facts = (rows) => h("dl", {}, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

/** A value as it is; what holds others is folded. */
const told = (value) => (value !== null && typeof value === "object" && !isNumber(value) ? folded(value) : brief(value));

const folded = (value) => h("details", {}, h("summary", {}, count(Object.keys(value).length, "entry").replace("entrys", "entries")), h("pre", { class: "wrap" }, write(value).replaceAll('","', '", "')));

/**
 * Who was taken for whom. confusion: {labels, counts, rows_are}, or counts alone, a list a true class; the labels are
 * the model's classes then.
 */
export function matrix(confusion, card) {
  const counts = confusion.counts ?? confusion;
  const labels = confusion.labels ?? card.classes ?? [];
  if (!Array.isArray(counts) || !counts.length || !counts.every((row) => Array.isArray(row) && row.length === counts.length && row.every(isNumber))) return null;
  const named = (i) => plain(labels[i] ?? i);
  const rows = counts.map((row, i) => {
    const all = row.reduce((sum, one) => sum + Number(one), 0);
    return h("tr", {}, h("th", { scope: "row" }, named(i)), row.map((one, j) => {
      const share = all ? Number(one) / all : 0;
      const found = h("td", { class: `${i === j ? "right" : "wrong"}${Number(one) ? "" : " none"}`, title: `${named(i)} taken for ${named(j)}: ${plain(one)} of ${all}, ${percent(share)}` }, plain(one));
      found.style.setProperty("--share", `${Math.round(share * 100)}%`);
      return found;
    }));
  });
  const wide = counts.length > 5;
  return h("figure", { class: `confusion${wide ? " wide" : ""}` },
    h("figcaption", {}, h("h3", {}, "Who is taken for whom"), h("p", { class: "quiet" }, `Rows are the ${plain(confusion.rows_are ?? "true class")}, columns what the model said.`)),
    scrolled("Confusion matrix", h("table", {}, h("thead", {}, h("tr", {}, h("td", {}), counts.map((_, i) => h("th", { scope: "col" }, h("span", {}, named(i)))))), h("tbody", {}, rows))));
}

function columns(card) {
  const drift = new Map((card.drift?.columns ?? []).map((one) => [one.name, one]));
  return scrolled("Columns", h("table", {}, h("thead", {}, h("tr", {}, ["column", "type", "in training", "drift"].map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", {}, card.signature.columns.map((column) => h("tr", {}, h("th", { scope: "row" }, column.name), h("td", {}, `${column.type}${column.nullable ? " or null" : ""}`),
        h("td", {}, range(column)), h("td", {}, moved(drift.get(column.name))))))));
}

function range(column) {
  if (isNumber(column.minimum)) return `${plain(column.minimum)} – ${plain(column.maximum)}`;
  return column.categories ? listed(column.categories, 8, "and") : "any";
}

const moved = (one) => (!one ? "–" : one.psi === null || one.state === "too few rows" ? one.state : `${one.state}, PSI ${brief(one.psi, 2)}`);

/** The versions of a model, what each does, and what came since the start. link: gives the address of one. */
export function versions(model, shown, link) {
  const traffic = model.traffic;
  const total = Object.values(traffic.split ?? {}).reduce((sum, weight) => sum + Number(weight), 0);
  const role = (number) => [
    traffic.split?.[number] !== undefined ? `${percent(Number(traffic.split[number]) / total)} of the clients` : !traffic.split && number === model.default_version && (traffic.pinned ? "answers, pinned" : "answers"),
    traffic.shadow?.version === number && `shadow${traffic.shadow.disagreement !== null ? `, differs in ${percent(traffic.shadow.disagreement)} of ${count(traffic.shadow.rows.agree + traffic.shadow.rows.differ, "row")}` : ""}`,
    !traffic.since_start[number] && "cannot serve",
  ].filter(Boolean).join(", ");
  const rows = [...model.versions].reverse().map((number) => {
    const since = traffic.since_start[number];
    return h("tr", { "aria-current": number === shown ? "true" : null }, h("th", { scope: "row" }, h("a", { href: link(number) }, `version ${number}`)), h("td", {}, role(number) || "–"),
      h("td", {}, since ? count(since.requests, "request") : "–"),
      h("td", {}, since ? count(since.client_errors + since.server_errors, "error") : "–"));
  });
  return scrolled("Versions", h("table", {}, h("thead", {}, h("tr", {}, ["version", "what it does", "since the start", ""].map((one) => one ? h("th", { scope: "col" }, one) : h("td", {})))), h("tbody", {}, rows)));
}

/** Whether the rows that come are those of the training, in one sentence. */
export function drifting(card) {
  const { rows = 0, columns: all = [] } = card.drift ?? {};
  const moved = all.filter((one) => one.state === "drifted");
  const enough = all.some((one) => ["stable", "moderate", "drifted"].includes(one.state));
  if (!enough) return `Drift: not enough rows came lately to tell (${count(rows, "row")}).`;
  if (!moved.length) return `Drift: none; ${count(rows, "row")} came lately, spread as those of the training.`;
  return `Drift: ${listed(namesOf(moved), 4, "and")} of the ${count(rows, "row")} that came lately ${moved.length > 1 ? "are" : "is"} not spread as in training.`;
}
