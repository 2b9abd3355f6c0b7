'use strict';

/**
 * Where this process runs, as the binaries' names have it. The only file that looks at the platform. It uses Node's core
 * modules only: a fresh clone asks it before anything is installed.
 */

const { readElf } = require('./elf');

/** @typedef {'glibc' | 'musl'} Libc */

/**
 * The C library by the loader that an executable asks for.
 * @param {string | null | undefined} interpreter
 * @returns {Libc | null}
 */
function libcOfInterpreter(interpreter) {
  if (!interpreter) return null;
  if (/\/ld-musl-/.test(interpreter)) return 'musl';
  // ld-linux-x86-64.so.2; ld64.so.2 on ppc64, ld64.so.1 on s390x.
  return /\/ld(-linux[^/]*|64)?\.so\.\d$/.test(interpreter) ? 'glibc' : null;
}

/**
 * The C library by Node's own report on itself.
 * @param {{ header?: { glibcVersionRuntime?: string }, sharedObjects?: string[] } | undefined} report
 * @returns {Libc | null}
 */
function libcOfReport(report) {
  if (report?.header?.glibcVersionRuntime) return 'glibc';
  const objects = report?.sharedObjects ?? [];
  // musl is its own loader; its file is libc.so where that was started by name.
  if (objects.some((file) => /\/(ld-musl-|libc\.musl-|libc\.so$)/.test(file))) return 'musl';
  return objects.some((file) => /\/libc\.so\.6$/.test(file)) ? 'glibc' : null;
}

/** Node's report on itself; undefined where a runtime has none, or refuses it. */
function getReport() {
  const report = /** @type {any} */ (process.report);
  // Without it Node asks name servers for the peers of all its sockets.
  const had = report?.excludeNetwork;
  try {
    if (had === false) report.excludeNetwork = true;
    return report?.getReport();
  } catch {
    return undefined;
  } finally {
    if (had === false) report.excludeNetwork = false;
  }
}

/** @returns {Libc | null} null where nothing tells */
function findLibc() {
  // Deno asks its user before it shows either.
  if (process.versions.deno) return null;
  return libcOfInterpreter(readElf(process.execPath)?.interpreter) ?? libcOfReport(getReport());
}

/**
 * @param {string} platform
 * @param {string} arch
 * @param {Libc | null} libc
 */
function nameOf(platform, arch, libc) {
  const abi = libc === null ? '' : `-${libc === 'glibc' ? 'gnu' : 'musl'}${arch === 'arm' ? 'eabihf' : ''}`;
  return `${platform}-${arch}${abi}`;
}

const { arch, platform } = process;
const isLinux = platform === 'linux';
const libc = isLinux ? findLibc() : null;

/** Whether nothing told the C library: then either may be right. */
const isUnsure = isLinux && libc === null;

/** The names that a binary for this process may have, e.g. `linux-x64-gnu`. */
const names = isUnsure
  ? [nameOf(platform, arch, 'glibc'), nameOf(platform, arch, 'musl')]
  : [nameOf(platform, arch, libc)];

/** What ARM this Node is built for; an older one than the prebuilt binaries' is left alone by them. */
const armVersion =
  arch === 'arm' ? Number(/** @type {any} */ (process.config)?.variables?.arm_version ?? 7) : null;

module.exports = {
  platform,
  arch,
  libc,
  isUnsure,
  names,
  /** For people: without a C library if that is unknown. */
  name: nameOf(platform, arch, libc),
  armVersion,
  getReport,
  libcOfInterpreter,
  libcOfReport,
};
