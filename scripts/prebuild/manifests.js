'use strict';

/** What stands in the package.json of each package that is published. */

const PREFIX = 'rs-sendfile-';

const SYSTEMS = { linux: 'Linux', darwin: 'macOS', freebsd: 'FreeBSD' };

/** The name of the package for a platform. */
const packageName = ({ name }) => `${PREFIX}${name}`;

/** The name of the binary in it: that of the one which `npm run build` leaves beside the loader. */
const binaryName = ({ name }) => `rs-sendfile.${name}.node`;

/** Whether npm would call a package of this name so, in whatever version. */
function isTarballOf(name, file) {
  return file.startsWith(`${name}-`) && /^\d.*\.tgz$/.test(file.slice(name.length + 1));
}

/** The platform in words, e.g. `Linux x64 (glibc)`. */
function title({ os, cpu, libc }) {
  return `${SYSTEMS[os]} ${cpu}${libc ? ` (${libc})` : ''}`;
}

/**
 * @param {import('./targets').Target} target
 * @param {Record<string, any>} main the repository's package.json
 */
function platformManifest(target, main) {
  const file = binaryName(target);
  return {
    name: packageName(target),
    version: main.version,
    description: `The binary of ${main.name} for ${title(target)}`,
    ...pick(main, ['author', 'repository', 'homepage', 'bugs']),
    license: main.license,
    engines: main.engines,
    os: [target.os],
    cpu: [target.cpu],
    ...(target.libc && { libc: [target.libc] }),
    main: file,
    files: [file],
    // Yarn: a binary cannot be loaded out of an archive.
    preferUnplugged: true,
    publishConfig: { access: 'public', provenance: true },
  };
}

/** @param {import('./targets').Target} target */
function platformReadme(target) {
  return [
    `# ${packageName(target)}`,
    '',
    `The binary of [rs-sendfile](https://www.npmjs.com/package/rs-sendfile) for ${title(target)}. It is installed with`,
    'that package, where it fits: nobody has to name it.',
    '',
  ].join('\n');
}

/**
 * The main package as it is published. The repository's own has no optionalDependencies: while a version is being made,
 * no registry has its binaries, and `npm ci` would look for them.
 * @param {Record<string, any>} main the repository's package.json
 * @param {readonly { name: string }[]} platforms
 */
function mainManifest(main, platforms) {
  const { devDependencies, scripts, napi, ...published } = main;
  return {
    ...published,
    optionalDependencies: Object.fromEntries(
      platforms.map((platform) => [packageName(platform), main.version]),
    ),
    publishConfig: { access: 'public', provenance: true },
  };
}

function pick(object, keys) {
  return Object.fromEntries(keys.filter((key) => key in object).map((key) => [key, object[key]]));
}

module.exports = { binaryName, isTarballOf, mainManifest, packageName, platformManifest, platformReadme };
