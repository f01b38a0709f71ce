// A function in plain TypeScript on Deno: one JSON request on standard input, one JSON answer on standard output.
const request = await new Response(Deno.stdin.readable).json();
const name: string = request.input.name ?? "World";
console.log(JSON.stringify({ success: true, output: { message: `Hello, ${name}!` } }));
