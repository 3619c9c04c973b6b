// Asks the service, and tells an answer from a refusal.

import { parse } from "./exact.js";

/** What the service, or the way to it, says instead of an answer. details: the bad cells. after: seconds until to ask again. */
export class Refused extends Error {
  constructor(message, { status = 0, code = "", details = [], total = details.length, id = "", after = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, details, total, id, after });
  }
}

/** The JSON at a path, and the time that the service took. options: as fetch has them. Throws Refused, or AbortError. */
export async function ask(path, options = {}) {
  const started = performance.now();
  let response, text;
  try {
    response = await fetch(path, { cache: "no-cache", ...options });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service cannot be reached. This page asks again by itself.");
  }
  const value = understood(text);
  if (!response.ok || value === undefined) throw refusal(response, value);
  return { value, timing: { ...stages(response), "round trip": performance.now() - started } };
}

/** A prediction. rows: a body; type: its Content-Type. own: rows of this page's own making, which say nothing of drift. */
export function predict(path, rows, { type = "application/json", signal, own = false } = {}) {
  const headers = { "Content-Type": type, Accept: "application/json", ...(own ? { "X-Tepal-Drift": "off" } : {}) };
  return ask(path, { method: "POST", body: rows, headers, signal });
}

export const pathOf = (name, version) =>
  `models/${encodeURIComponent(name)}${version ? `/versions/${encodeURIComponent(version)}` : ""}`;

function understood(text) {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

function refusal(response, body) {
  const status = response.status;
  return new Refused(body?.error ?? `The service answered ${status}, in a way that this page does not understand.`, {
    status,
    code: body?.code,
    details: body?.details,
    total: Number(body?.details_total ?? body?.details?.length ?? 0),
    id: body?.request_id ?? response.headers.get("X-Request-ID") ?? "",
    after: Number(response.headers.get("Retry-After")) || 0,
  });
}

/** Milliseconds of each stage that Server-Timing names. */
function stages(response) {
  const found = (response.headers.get("Server-Timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g);
  return Object.fromEntries([...found].map(([, name, duration]) => [name, Number(duration)]));
}
