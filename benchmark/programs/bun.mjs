/** Bun's own way to serve files: its Bun.serve sends a Bun.file by sendfile. */

const { Bun } = globalThis;
const [, , root, port] = process.argv;

Bun.serve({
  port: Number(port),
  hostname: '127.0.0.1',
  fetch(request) {
    const file = Bun.file(root + new URL(request.url).pathname);
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get('range') ?? '');
    if (!range) return new Response(file);
    const [start, end] = [Number(range[1]), Number(range[2])];
    const headers = { 'Content-Range': `bytes ${start}-${end}/*` };
    return new Response(file.slice(start, end + 1), { status: 206, headers });
  },
});
