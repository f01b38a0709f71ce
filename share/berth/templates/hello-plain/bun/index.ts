// A function in plain TypeScript on Bun: one JSON request on standard input, one JSON answer on standard output.
const request = await Bun.stdin.json();
await Bun.write(Bun.stdout, JSON.stringify({ success: true, output: { message: `Hello, ${request.input.name ?? "World"}!` } }));
