'use strict';

const fs = require('node:fs/promises');
const path = require('node:path');

/** An answer that is no file: thrown wherever it is found out, sent in one place. */
class HttpError extends Error {
  constructor(status, headers = {}) {
    super(`HTTP ${status}`);
    this.status = status;
    this.headers = headers;
  }
}

const STATUS = {
  ENOENT: 404,
  ENOTDIR: 404,
  ENAMETOOLONG: 404,
  ELOOP: 404,
  EACCES: 403,
  EPERM: 403,
};

/** The HTTP status that fits what went wrong before anything was sent. */
function statusOf(err) {
  return err.status ?? STATUS[err.code] ?? 500;
}

/**
 * The file or directory a request target names. Nothing outside `root` is found, by `..` or by a link, nor are names
 * that begin with a dot.
 * @param {string} root  a real path
 * @param {string} target  as in the request line: a path with an optional query, or a whole URL
 * @returns {Promise<{ file: string, stat: import('node:fs').Stats }>}
 */
async function findResource(root, target) {
  const name = nameOf(target);
  let { wanted, file, stat } = await locate(root, name);
  if (stat.isDirectory()) {
    if (!name.endsWith('/')) throw new HttpError(301, { Location: link(path.relative(root, wanted)) });
    const index = path.join(file, 'index.html');
    const indexStat = await fs.stat(index).catch(() => null);
    if (indexStat?.isFile() && isInside(root, await fs.realpath(index))) [file, stat] = [index, indexStat];
  } else if (name.endsWith('/')) {
    throw new HttpError(404);
  }
  return { file, stat };
}

/**
 * The regular file of a name that a router has decoded, found as above. Whatever is wrong with it is an HttpError, which
 * Express, Koa and Fastify answer with its status.
 * @param {string} root  a real path
 * @param {string} name
 */
async function findFile(root, name) {
  try {
    const { file, stat } = await locate(root, `/${name}`);
    if (stat.isFile()) return { file, stat };
  } catch (err) {
    throw err.code in STATUS ? new HttpError(STATUS[err.code]) : err;
  }
  throw new HttpError(404);
}

/**
 * For static handlers, which follow links wherever they lead: throws an HttpError if this target, or the index.html in
 * it, is outside `root`, or no file at all.
 */
async function stayInside(root, target) {
  const name = nameOf(target);
  for (const one of [name, `${name}/index.html`]) {
    await locate(root, one).catch((err) => {
      if (err.status === 403) throw err;
    });
  }
}

function nameOf(target) {
  return decode(target.replace(/^https?:\/\/[^/?]*/i, '').replace(/[?#].*$/s, '') || '/');
}

async function locate(root, name) {
  if (!name.startsWith('/') || name.includes('\0')) throw new HttpError(400);
  const wanted = path.join(root, name);
  if (!isInside(root, wanted)) throw new HttpError(403);
  if (
    path
      .relative(root, wanted)
      .split(path.sep)
      .some((part) => part.startsWith('.'))
  )
    throw new HttpError(404);

  const file = await fs.realpath(wanted);
  if (!isInside(root, file)) throw new HttpError(403);
  const stat = await fs.stat(file);
  // A FIFO or a device has no length to promise.
  if (!stat.isFile() && !stat.isDirectory()) throw new HttpError(403);
  return { wanted, file, stat };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new HttpError(400);
  }
}

function isInside(root, file) {
  const relative = path.relative(root, file);
  return relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}

/** Each part encoded by itself; it begins with exactly one slash, as two would name another host. */
function link(relative) {
  return `/${relative.split(path.sep).map(encodeURIComponent).join('/')}/`;
}

/** A directory as a page of links. */
async function listing(directory, isRoot) {
  const entries = await fs.readdir(directory, { withFileTypes: true });
  const names = entries
    .filter((entry) => !entry.name.startsWith('.'))
    .map((entry) => entry.name + (entry.isDirectory() ? '/' : ''))
    .sort();
  const line = (name) =>
    `<li><a href="${encodeURIComponent(name).replace(/%2F$/, '/')}">${escapeHtml(name)}</a>\n`;
  return `<!doctype html>\n<meta charset="utf-8">\n<ul>\n${isRoot ? '' : '<li><a href="../">../</a>\n'}${names.map(line).join('')}</ul>\n`;
}

function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

module.exports = { HttpError, decode, findFile, findResource, listing, statusOf, stayInside };
