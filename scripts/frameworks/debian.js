/**
 * Upstream's tests out of Debian's source packages: what npm does not carry, with signatures all the way. The lists are
 * the machine's own, read as lists of sources, and what apt learns of them stays in a temporary folder.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const LIMIT_MS = 3 * 60 * 1000;

/** How each of apt's formats says what a list is of. */
const FORMATS = [
  [/\.list$/, /^deb(-src)?(?=\s)/gm, 'deb-src'],
  [/\.sources$/, /^Types:.*$/gim, 'Types: deb-src'],
];

/**
 * The folder that holds these folders of the upstream version, from the cache or from Debian.
 * @param {{ cache: string, source: string, version: string, folders: string[] }} what
 */
function getTests({ cache, source, version, folders }) {
  const place = path.join(cache, 'debian', `${source}-${version}`);
  if (fs.existsSync(place)) return place;
  console.log(`rs-sendfile: getting the tests of ${source} ${version} from Debian's sources`);
  const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-apt-'));
  try {
    const upstream = unpack(download(source, temp), temp);
    const found = JSON.parse(fs.readFileSync(path.join(upstream, 'package.json'), 'utf8')).version;
    if (found !== version) throw new Error(`Debian's ${source} here is ${found}, not ${version}`);
    for (const folder of folders) {
      fs.cpSync(path.join(upstream, folder), path.join(temp, 'found', folder), { recursive: true });
    }
    // Made aside: what breaks off is not taken for the whole.
    fs.mkdirSync(path.dirname(place), { recursive: true });
    const aside = `${place}.${process.pid}`;
    fs.cpSync(path.join(temp, 'found'), aside, { recursive: true });
    fs.renameSync(aside, place);
    return place;
  } finally {
    fs.rmSync(temp, { recursive: true, force: true });
  }
}

/** Upstream's archive of a source package. */
function download(source, temp) {
  const lists = path.join(temp, 'lists');
  const files = path.join(temp, 'files');
  fs.mkdirSync(path.join(lists, 'partial'), { recursive: true });
  fs.mkdirSync(files);
  const options = [
    ['Dir::Etc::sourcelist', '/dev/null'],
    ['Dir::Etc::sourceparts', asSources(path.join(temp, 'sources'))],
    ['Dir::State::lists', lists],
    ['Dir::Cache::pkgcache', ''],
    ['Dir::Cache::srcpkgcache', ''],
    ['Acquire::Retries', '3'],
    // The temporary folder is this user's.
    ['APT::Sandbox::User', os.userInfo().username],
  ].flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  // A list of somebody else's may have no sources, and that is no harm: what is wanted is asked for next.
  spawnSync('apt-get', [...options, '-q', 'update'], { cwd: files, stdio: 'inherit', timeout: LIMIT_MS });
  run('apt-get', [...options, '-q', 'source', '--download-only', source], files);
  const archive = fs
    .readdirSync(files)
    .find((name) => name.startsWith(`${source}_`) && /\.orig\.tar\.\w+$/.test(name));
  if (archive === undefined) throw new Error(`Debian's source package ${source} has no upstream archive`);
  return path.join(files, archive);
}

function unpack(archive, temp) {
  const folder = path.join(temp, 'upstream');
  fs.mkdirSync(folder);
  run('tar', ['--extract', '--file', archive, '--strip-components=1', '--directory', folder], temp);
  return folder;
}

/**
 * A copy of the machine's lists that asks for sources where they ask for binaries.
 * @param {string} folder to make
 * @param {string} [apt]
 */
function asSources(folder, apt = '/etc/apt') {
  fs.mkdirSync(folder);
  const parts = path.join(apt, 'sources.list.d');
  const names = fs.existsSync(parts) ? fs.readdirSync(parts) : [];
  for (const file of [path.join(apt, 'sources.list'), ...names.map((name) => path.join(parts, name))]) {
    const [, from, to] = FORMATS.find(([name]) => name.test(file)) ?? [];
    if (!from || !fs.existsSync(file)) continue;
    fs.writeFileSync(path.join(folder, path.basename(file)), fs.readFileSync(file, 'utf8').replace(from, to));
  }
  return folder;
}

function run(program, args, cwd) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit', timeout: LIMIT_MS });
  if (error) throw new Error(`${program} does not run: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ${args.at(-1)} failed; its output above says why`);
}

module.exports = { asSources, getTests };
