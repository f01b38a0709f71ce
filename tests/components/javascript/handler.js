// An HTTP handler for componentize-js: greets by name, sends requests of its own below /out, hands bodies on below /pipe.
addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const url = new URL(request.url);
  if (url.pathname.endsWith('/out')) {
    try {
      const method = url.searchParams.get('method') ?? 'GET';
      const sent = method === 'GET' ? {} : { method, body: await request.text(), headers: { 'x-sent-by': 'guest' } };
      const other = await fetch(url.searchParams.get('to') ?? 'http://127.0.0.1:9/', sent);
      return new Response(`reached ${other.status} ${await other.text()}`);
    } catch (error) {
      return new Response(`refused: ${error}`, { status: 502 });
    }
  }
  if (url.pathname.endsWith('/pipe')) {
    return new Response(request.body, { headers: { 'content-type': 'application/octet-stream' } });
  }
  const text = await request.text();
  const given = text ? JSON.parse(text) : {};
  return new Response(JSON.stringify({ message: `Hello, ${given.name ?? 'World'}!` }), {
    status: 200,
    headers: { 'content-type': 'application/json', 'x-made-by': 'javascript' },
  });
}
