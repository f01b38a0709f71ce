import { type Context, defineFunction, FunctionError } from "./berth-fn.mjs";

export default defineFunction({
  input: { name: { type: "string", maxLength: 80 } },
  handler({ name = "World" }: { name?: string }, ctx: Context) {
    ctx.log.info("greeting", { name });
    if (name === "nobody") throw new FunctionError("VALIDATION_ERROR", "nobody cannot be greeted", { field: "name" });
    return { message: `Hello, ${name}!`, runtime: "deno" };
  },
});
