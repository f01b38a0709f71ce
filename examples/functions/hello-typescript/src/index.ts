import * as fs from "node:fs";

interface Request {
  input: { name?: string };
}

const request: Request = JSON.parse(fs.readFileSync(0, "utf8"));
fs.writeSync(1, JSON.stringify({ success: true, output: { message: `Hello, ${request.input.name ?? "World"}!`, runtime: "node" } }));
