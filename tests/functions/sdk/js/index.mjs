import process from "node:process";
import { defineFunction, FunctionError } from "./berth-fn.mjs";
import schema from "./schema.mjs";

export default defineFunction({
  input: process.env.WITH_SCHEMA ? schema : undefined,
  async handler(input, ctx) {
    switch (input.do) {
      case "echo": return input.value;
      case "missing": return undefined;
      case "fail": throw new FunctionError("CONFLICT", "it is taken", { a: 1 });
      case "throw": throw new Error("unexpected");
      case "print": console.log("printed text"); process.stdout.write("raw text\n"); return "printed";
      case "big": return "x".repeat(1 << 20);
      case "nan": return { a: Number.NaN };
      case "cycle": { const a = {}; a.a = a; return a; }
      case "log": ctx.log.debug("d"); ctx.log.info("i", { k: 1 }); ctx.log.warn("w"); ctx.log.error("e"); return null;
      case "context": return { auth: ctx.auth, env: ctx.env, name: ctx.function_name, id: ctx.request_id.length, deadline: ctx.deadline > 0, url: ctx.alyx.url.startsWith("http://"), token: ctx.alyx.token.length };
      case "invoke": return await ctx.alyx.invoke("echo", { x: 1 });
      case "invoke-fails": return await ctx.alyx.invoke("refuses");
      case "async": await new Promise((done) => setTimeout(done, 1)); return "later";
      case "term": {
        console.error("waits for the end");
        const alive = setInterval(() => {}, 1000);
        return await new Promise((done) => ctx.signal.addEventListener("abort", () => { console.error("saw the end"); clearInterval(alive); done(null); }));
      }
      case "valid": return "valid";
    }
    throw new FunctionError("BAD_REQUEST", "unknown");
  },
});
