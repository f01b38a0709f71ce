// Functions on Berth for Node, Deno and Bun: one file, no dependencies. Copy it beside your function.
//
//   import { defineFunction, FunctionError } from "./berth-fn.mjs";
//   export default defineFunction({ input: { name: { type: "string" } }, handler: async (input, ctx) => ({ ... }) });
//
// Whatever your code prints goes to standard error; standard output carries the answer alone.
import fs from "node:fs";
import process from "node:process";

/** An error with a code that callers see. */
export class FunctionError extends Error {
  constructor(code, message, details) {
    super(message ?? code);
    this.name = "FunctionError";
    this.code = code;
    this.details = details;
  }
}

const typeOf = (value) => {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
};

const fits = (value, type) => typeOf(value) === type || (type === "number" && typeOf(value) === "integer");

function violation(field, rule, expected, got) {
  return new FunctionError("VALIDATION_ERROR", `${field}: ${rule}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`, { field, rule, expected, got });
}

function checkValue(field, value, rules) {
  if (rules.type && !fits(value, rules.type)) throw violation(field, "type", rules.type, typeOf(value));
  if (rules.enum && !rules.enum.some((one) => JSON.stringify(one) === JSON.stringify(value))) throw violation(field, "enum", rules.enum, value);
  if (typeof value === "string") {
    const length = [...value].length;
    const least = rules.minLength ?? rules.min_length;
    const most = rules.maxLength ?? rules.max_length;
    if (least !== undefined && length < least) throw violation(field, "minLength", least, length);
    if (most !== undefined && length > most) throw violation(field, "maxLength", most, length);
    if (rules.pattern !== undefined && !new RegExp(rules.pattern, "u").test(value)) throw violation(field, "pattern", rules.pattern, value);
  }
  if (typeof value === "number") {
    if (rules.min !== undefined && value < rules.min) throw violation(field, "min", rules.min, value);
    if (rules.max !== undefined && value > rules.max) throw violation(field, "max", rules.max, value);
  }
  if (Array.isArray(value) && rules.items) value.forEach((item, i) => checkValue(`${field}[${i}]`, item, rules.items));
}

/** Throws the first violation of `schema` in `input`. */
export function validate(input, schema) {
  for (const [field, rules] of Object.entries(schema ?? {})) {
    const value = input?.[field];
    if (value === undefined || value === null) {
      if (rules.required === true && rules.optional !== true) throw violation(field, "required", true, null);
      continue;
    }
    checkValue(field, value, rules);
  }
}

function toJson(value) {
  const check = (_key, one) => {
    if (typeof one === "bigint" || typeof one === "function" || typeof one === "symbol" || (typeof one === "number" && !Number.isFinite(one))) throw new TypeError("not JSON");
    return one;
  };
  try {
    return JSON.stringify(value === undefined ? null : value, check);
  } catch {
    throw new FunctionError("FUNCTION_ERROR", "result is not JSON");
  }
}

/** A context as handlers get it. Tests make one up: `makeContext({ context: { env: { A: "1" } } })`. */
export function makeContext(request = {}, logs = [], signal = new AbortController().signal) {
  const given = request.context ?? {};
  const url = given.alyx_url ?? "";
  const token = given.internal_token ?? "";
  const log = (level) => (message, data) => {
    const entry = { level, message: String(message), timestamp: new Date().toISOString() };
    if (data !== undefined) entry.data = data !== null && typeof data === "object" && !Array.isArray(data) ? data : { value: data };
    logs.push(entry);
  };
  const call = async (path, options = {}) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...(options.headers ?? {}) };
    return await fetch(new URL(path, url), { signal, ...options, headers });
  };
  return {
    auth: given.auth ?? null,
    env: given.env ?? {},
    request_id: request.request_id ?? "",
    function_name: request.function_name ?? "",
    deadline: given.deadline_ms ?? (Number(process.env.ALYX_DEADLINE_MS) || null),
    signal,
    log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    alyx: {
      url,
      token,
      fetch: call,
      invoke: async (name, input = {}) => {
        const answer = await (await call(`/internal/v1/invoke/${encodeURIComponent(name)}`, { method: "POST", body: JSON.stringify(input) })).json();
        if (answer.success) return answer.output;
        throw new FunctionError(answer.error?.code ?? "FUNCTION_ERROR", answer.error?.message, answer.error?.details);
      },
    },
  };
}

// Once, with a loop: a pipe that is full takes a part, or none for now.
function writeAll(fd, text) {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  while (at < bytes.length) {
    try {
      at += fs.writeSync(fd, bytes, at, bytes.length - at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function keepOutputClean() {
  const toErrors = (chunk) => (writeAll(2, typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk)), true);
  process.stdout.write = (chunk, encoding, done) => {
    toErrors(chunk);
    const then = typeof encoding === "function" ? encoding : done;
    if (then) queueMicrotask(then);
    return true;
  };
  for (const name of ["log", "info", "debug", "dir", "table"]) console[name] = (...words) => console.error(...words);
}

async function readAll() {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  for await (const chunk of process.stdin) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

async function serve(definition) {
  keepOutputClean();
  const logs = [];
  const stop = new AbortController();
  process.on("SIGTERM", () => stop.abort(new Error("the call is being ended")));
  let requestId = "unknown";
  let answer;
  try {
    const request = JSON.parse(await readAll());
    requestId = request.request_id ?? requestId;
    const input = request.input ?? {};
    validate(input, definition.input);
    const output = toJson(await definition.handler(input, makeContext(request, logs, stop.signal)));
    answer = `{"request_id":${JSON.stringify(requestId)},"success":true,"output":${output},"logs":${toJson(logs)}}`;
  } catch (error) {
    const known = error instanceof FunctionError;
    if (!known) writeAll(2, `${error?.stack ?? error}\n`);
    const shown = { code: known ? String(error.code) : "FUNCTION_ERROR", message: String(error?.message ?? error) };
    if (known && error.details !== undefined && error.details !== null) shown.details = typeof error.details === "object" && !Array.isArray(error.details) ? error.details : { value: error.details };
    let written;
    try {
      written = toJson(shown);
    } catch {
      written = JSON.stringify({ code: shown.code, message: shown.message });
    }
    let said = "[]";
    try {
      said = toJson(logs);
    } catch {
      writeAll(2, "log entries that are not JSON were dropped\n");
    }
    answer = `{"request_id":${JSON.stringify(requestId)},"success":false,"error":${written},"logs":${said}}`;
  }
  writeAll(1, answer);
  process.exit(0);
}

/** Makes a function of a handler: `defineFunction(handler)` or `defineFunction({ input, handler })`. */
export function defineFunction(definition) {
  const made = typeof definition === "function" ? { handler: definition } : definition;
  // Nothing runs on import in a test.
  if (process.env.ALYX_FUNCTION_NAME) queueMicrotask(() => serve(made));
  return {
    ...made,
    /** Calls the handler as a request would, for tests. */
    call: async (input = {}, context = makeContext()) => {
      validate(input, made.input);
      return await made.handler(input, context);
    },
  };
}
