// Draws lines, and a band around the first, over numbers or days: an SVG of our own.

import { day, h, isNumber, s, show, tick } from "./dom.js";

const HEIGHT = 190;
const [TOP, RIGHT, BOTTOM, LEFT] = [12, 16, 26, 46]; // of the margin

/**
 * box: where to draw. xs: numbers, in milliseconds where `days`; lines: {name, ys}, null where there is no answer;
 * band: {low, high}, an array each, or null. mark: the x that the form holds. picked: called with the index of a point.
 */
export function draw(box, { label, xs, days, lines, band, mark, picked }) {
  const width = Math.max(box.clientWidth, 240);
  const numbers = [...lines.flatMap((line) => line.ys), ...(band ? [...band.low, ...band.high] : [])].filter(isNumber).map(Number);
  if (!numbers.length || xs.length < 2) return show(box, h("p", { class: "quiet" }, "There is nothing to draw here."));
  const [[first, last], [least, most]] = [extent(xs), extent(numbers)];
  const ticks = round(least, most);
  const [bottom, top] = [ticks[0], ticks.at(-1)];
  const x = (value) => LEFT + ((value - first) / (last - first || 1)) * (width - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - bottom) / (top - bottom || 1)) * (HEIGHT - TOP - BOTTOM);
  const write = (value) => (days ? day(value) : tick(value));
  const across = Math.max(2, Math.min(5, Math.floor(width / 130)));
  const named = lines.length > 1 && h("ul", { class: "legend" }, lines.map(({ name }, i) => h("li", { class: `line-${i}` }, name)));
  const read = h("p", { class: "read quiet", "aria-hidden": "true" });
  const dot = s("circle", { r: 4, class: "dot", visibility: "hidden" });
  const sentence = `${label}: from ${tick(least)} to ${tick(most)}, over ${write(first)} to ${write(last)}`;
  const svg = s("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": sentence },
    ticks.map((value) => [s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }), s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, tick(value))]),
    Array.from({ length: across }, (_, i) => first + ((last - first) * i) / (across - 1)).map((value, i) =>
      s("text", { x: x(value), y: HEIGHT - 6, "text-anchor": i === 0 ? "start" : i === across - 1 ? "end" : "middle" }, write(value))),
    band && s("path", { class: "band", d: area(xs, band, x, y) }),
    mark !== undefined && mark >= first && mark <= last && s("line", { class: "mark", x1: x(mark), x2: x(mark), y1: TOP, y2: HEIGHT - BOTTOM }),
    lines.map(({ ys }, i) => s("path", { class: `curve line-${i}`, d: path(xs, ys, x, y) })), dot);
  const nearest = (event) => {
    const at = event.clientX - svg.getBoundingClientRect().left;
    return xs.reduce((best, value, i) => (Math.abs(x(value) - at) < Math.abs(x(xs[best]) - at) ? i : best), 0);
  };
  svg.addEventListener("pointermove", (event) => {
    const i = nearest(event);
    const value = lines[0].ys[i];
    dot.setAttribute("visibility", isNumber(value) ? "visible" : "hidden");
    dot.setAttribute("cx", x(xs[i]));
    dot.setAttribute("cy", y(Number(value ?? 0)));
    read.textContent = `${write(xs[i])}: ${lines.map(({ name, ys }) => `${lines.length > 1 ? `${name} ` : ""}${isNumber(ys[i]) ? tick(Number(ys[i])) : "no answer"}`).join(", ")}` +
      (band && isNumber(band.low[i]) ? ` (${tick(Number(band.low[i]))} – ${tick(Number(band.high[i]))})` : "");
  });
  if (picked) svg.addEventListener("click", (event) => picked(nearest(event)));
  show(box, named, svg, read);
}

const extent = (numbers) => numbers.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);

/** A path through the points that have a value; a gap where one has none. */
function path(xs, ys, x, y) {
  let pen = "M";
  return xs.map((value, i) => {
    if (!isNumber(ys[i])) return (pen = "M") && "";
    const point = `${pen}${x(value).toFixed(1)} ${y(Number(ys[i])).toFixed(1)}`;
    pen = "L";
    return point;
  }).join("");
}

function area(xs, { low, high }, x, y) {
  const there = xs.map((_, i) => i).filter((i) => isNumber(low[i]) && isNumber(high[i]));
  const point = (ys) => (i) => `${x(xs[i]).toFixed(1)} ${y(Number(ys[i])).toFixed(1)}`;
  return there.length ? `M${there.map(point(high)).join("L")}L${there.reverse().map(point(low)).join("L")}Z` : "";
}

/** Round numbers from below `low` to above `high`, about four of them. */
function round(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = power * [1, 2, 5, 10].find((times) => (power * times * 4) >= span);
  const [from, to] = [Math.floor(low / step), Math.max(Math.ceil(high / step), Math.floor(low / step) + 1)];
  return Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
}
