// berth-fn for CommonJS: `const { defineFunction } = require("./berth-fn.cjs")`, with berth-fn.mjs beside it. The
// module is loaded when the function starts, so definitions may use it at once.
"use strict";
const loaded = import("./berth-fn.mjs");

class FunctionError extends Error {
  constructor(code, message, details) {
    super(message ?? code);
    this.name = "FunctionError";
    this.code = code;
    this.details = details;
  }
}

function defineFunction(definition) {
  const made = typeof definition === "function" ? { handler: definition } : definition;
  const handler = async (input, ctx) => {
    try {
      return await made.handler(input, ctx);
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      const own = await loaded;
      throw new own.FunctionError(error.code, error.message, error.details);
    }
  };
  if (process.env.ALYX_FUNCTION_NAME) loaded.then((own) => own.defineFunction({ ...made, handler }));
  return { ...made, call: async (input = {}, context) => (await loaded).defineFunction({ ...made, handler }).call(input, context) };
}

module.exports = { defineFunction, FunctionError };
