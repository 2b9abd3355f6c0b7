'use strict';

/** What the main package's tarball holds: all that it needs on every system, and nothing beside it. */

/** Every file of it matches one of these, and each of these some file. */
const EXPECTED = [
  /^package\.json$/,
  /^(README|CHANGELOG)\.md$/,
  /^LICENSE$/,
  /^(index|register|send)\.js$/,
  /^index\.mjs$/,
  /^(index|register|send)\.d\.ts$/,
  /^index\.d\.mts$/,
  /^lib\/[a-z-]+\.js$/,
  /^lib\/register\/[a-z-]+\.js$/,
  /^Cargo\.(toml|lock)$/,
  /^build\.rs$/,
  /^src\/(?!.*(test|fake|kernels|script|schedule|probe))[a-z]+\.rs$/,
  /^src\/(binding|engine|sys)\/(?!.*(test|fake|kernels|script|schedule|probe))[a-z_]+\.rs$/,
];

/** @param {string[]} files */
function unexpected(files) {
  return files.filter((file) => !EXPECTED.some((pattern) => pattern.test(file)));
}

/** @param {string[]} files */
function missing(files) {
  return EXPECTED.filter((pattern) => !files.some((file) => pattern.test(file))).map(String);
}

/**
 * The modules that packed Rust files name, and that are not packed: the build would fail, if on another system than this.
 * Modules of the tests are not looked for.
 * @param {Map<string, string>} sources  Rust files of the package, by their paths
 */
function missingModules(sources) {
  const absent = [];
  for (const [file, text] of sources) {
    const declared = /((?:#\[[^\]]*\]\s*)*)(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;/g;
    // The ladder of sys/mod.rs declares each system's file by a macro.
    const laddered = /^platform!\(\s*(\w+)/gm;
    const names = [
      ...[...text.matchAll(declared)].filter(([, cfg]) => !ofTests(cfg)).map(([, , name]) => name),
      ...[...text.matchAll(laddered)].map(([, name]) => name),
    ];
    for (const name of names) {
      const folder = /(^|\/)(mod|lib)\.rs$/.test(file)
        ? file.replace(/\w+\.rs$/, '')
        : file.replace(/\.rs$/, '/');
      if (!sources.has(`${folder}${name}.rs`) && !sources.has(`${folder}${name}/mod.rs`))
        absent.push(`${folder}${name}`);
    }
  }
  return absent;
}

const ofTests = (attributes) => /#\[cfg\((test|feature = "probes")\)\]/.test(attributes);

module.exports = { missing, missingModules, unexpected };
