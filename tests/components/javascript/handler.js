// An HTTP handler for componentize-js: greets by name, and below /out tries a request of its own.
addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const path = new URL(request.url).pathname;
  if (path.endsWith('/out')) {
    try {
      const other = await fetch('http://127.0.0.1:9/');
      return new Response(`reached ${other.status}`);
    } catch (error) {
      return new Response(`refused: ${error}`, { status: 502 });
    }
  }
  const given = request.method === 'POST' ? await request.json() : {};
  return new Response(JSON.stringify({ message: `Hello, ${given.name ?? 'World'}!` }), {
    status: 200,
    headers: { 'content-type': 'application/json', 'x-made-by': 'javascript' },
  });
}
