// Compiled by `npm run types`, never run: what index.d.ts must accept and refuse.
import type { FileHandle } from 'node:fs/promises';
import type { ClientRequest, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { constants, SF_NODISKIO, sendfile, sendfileSync, support, transfer, waitWritable } from '../index';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<A>() {
  return <B>(_value: B, ..._ok: Equal<A, B> extends true ? [] : ['other type']) => {};
}

declare const handle: FileHandle;
declare const socket: Socket;
declare const response: ServerResponse;
declare const request: ClientRequest;
declare const writable: Writable;
declare const signal: AbortSignal;

// The call, in both forms.
expectType<Promise<number>>()(sendfile(1, 2, 0, 10));
expectType<Promise<number>>()(sendfile(1, handle, 0n, null, 'head', [Buffer.from('t'), 't'], 0));
expectType<Promise<number>>()(
  sendfile(1, 2, null, 10n, { headers: new Uint8Array(1), trailers: 't', flags: 0 }),
);
expectType<number>()(sendfileSync(1, 2, 0, 10));
expectType<number>()(sendfileSync(1, handle, null, null, null, ['a'], 1));
expectType<number>()(sendfileSync(1, 2, 0, 10, { headers: ['a', new Uint8Array(1)] }));
// @ts-expect-error a string is no fd
sendfile('1', 2, 0, 10);
// @ts-expect-error offset and nbytes are required
sendfile(1, 2);
// @ts-expect-error a number is no header
sendfileSync(1, 2, 0, 10, 5);
// @ts-expect-error a path is for transfers
sendfileSync(1, '/file', 0, 10);

// The transfer, in both spellings.
expectType<Promise<number>>()(transfer(socket, 1));
expectType<Promise<number>>()(transfer(response, handle, { offset: 1, length: 2n, signal, timeout: 1 }));
expectType<Promise<number>>()(transfer(request, '/file', { method: 'copy', headers: 'h', trailers: ['t'] }));
expectType<Promise<number>>()(transfer(writable, new URL('file:///file'), { offset: null, length: null }));
expectType<Promise<number>>()(
  transfer(socket, Buffer.from('/file'), { onProgress: (bytes: number) => bytes }),
);
expectType<Promise<number>>()(sendfile(response, '/file'));
expectType<Promise<number>>()(sendfile(response, '/file', 0, 100, { timeout: 5 }));
expectType<Promise<number>>()(sendfile(response, '/file', { offset: 0, length: 100 }));
// @ts-expect-error no such method
transfer(socket, 1, { method: 'splice' });
// @ts-expect-error onProgress hears a number
transfer(socket, 1, { onProgress: (text: string) => text });
// @ts-expect-error a transfer needs a file
transfer(socket);

expectType<Promise<void>>()(waitWritable(1, { signal, timeout: 10 }));
expectType<number | undefined>()(SF_NODISKIO);
expectType<number | undefined>()(constants.SF_NOCACHE);
expectType<boolean>()(support.available);
expectType<string | null>()(support.syscall);
// @ts-expect-error support is not for writing
support.available = true;
