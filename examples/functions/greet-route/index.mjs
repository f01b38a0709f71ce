import { defineFunction } from "./berth-fn.mjs";

export default defineFunction(({ params, query }) => ({
  status: 200,
  headers: { "content-type": "text/plain; charset=utf-8", "x-greeting": "yes" },
  body: `${query.word ?? "Hello"}, ${params.name}!`,
}));
