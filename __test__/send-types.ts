// Compiled by `npm run types`, never run: what send.d.ts must accept and refuse.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

import send = require('../send');

declare const req: IncomingMessage;
declare const res: ServerResponse;
declare const req2: Http2ServerRequest;
declare const res2: Http2ServerResponse;

// What is piped into comes back as what it is.
const same: ServerResponse = send(req, '/file').pipe(res);
const same2: Http2ServerResponse = send(req2, '/file', { root: 'public' }).pipe(res2);
const options: send.SendOptions = { maxAge: '1 day', dotfiles: 'deny', index: false, extensions: ['html'] };
const sending: send.SendStream = send(req, '/file', options);
sending
  .on('headers', (out: ServerResponse, path: string) => out.setHeader('X-Path', path))
  .once('stream', (stream: NodeJS.ReadableStream) => stream.pause());
// @ts-expect-error no such rule
send(req, '/file', { dotfiles: 'maybe' });
// @ts-expect-error a path is needed
send(req);
// @ts-expect-error a number is no root
send(req, '/file', { root: 1 });

export type Used = [typeof same, typeof same2, typeof send.mime];
