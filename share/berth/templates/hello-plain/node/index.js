// A function in plain JavaScript: one JSON request on standard input, one JSON answer on standard output.
const fs = require("node:fs");
const { input } = JSON.parse(fs.readFileSync(0, "utf8"));
fs.writeSync(1, JSON.stringify({ success: true, output: { message: `Hello, ${input.name ?? "World"}!` } }));
