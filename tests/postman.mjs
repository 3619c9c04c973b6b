// Sends each request of a Postman collection and runs its tests, by what of Postman's `pm` they use.
// node postman.mjs COLLECTION.json: a line of JSON for each test that ran.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

const collection = JSON.parse(readFileSync(process.argv[2], "utf8"));
const variables = Object.fromEntries(collection.variable.map(({ key, value }) => [key, value]));
const filled = (text) => text.replace(/\{\{(\w+)\}\}/g, (all, key) => variables[key] ?? all);

function must(holds, message) {
  if (!holds) throw new Error(message);
}

function expect(value) {
  const shown = JSON.stringify(value);
  return {
    to: {
      eql: (other) => must(isDeepStrictEqual(value, other), `${shown} is not ${JSON.stringify(other)}`),
      be: { closeTo: (other, delta) => must(Math.abs(value - other) <= delta, `${shown} is not ${other} ± ${delta}`) },
    },
  };
}

async function run(folder, { name, request, event }) {
  const answer = await fetch(filled(request.url.raw), {
    method: request.method,
    headers: Object.fromEntries(request.header.map(({ key, value }) => [key, value])),
    body: request.body && filled(request.body.raw),
  });
  const text = await answer.text();
  const pm = {
    expect,
    response: {
      json: () => JSON.parse(text),
      to: {
        have: {
          status: (code) => must(answer.status === code, `the status is ${answer.status}: ${text.slice(0, 300)}`),
          header: (key) => must(answer.headers.has(key), `there is no header ${key}`),
        },
      },
    },
    test(title, check) {
      let failure = null;
      try {
        check();
      } catch (error) {
        failure = String(error);
      }
      console.log(JSON.stringify({ folder, name, title, failure }));
    },
  };
  for (const { script } of event) new Function("pm", script.exec.join("\n"))(pm);
}

for (const folder of collection.item) for (const item of folder.item) await run(folder.name, item);
