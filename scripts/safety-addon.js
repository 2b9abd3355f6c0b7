'use strict';

/**
 * For `npm run test:safety`, before each of its test files: takes the addon that was built for a sanitizer. Only here,
 * since the variable has this name for every addon, and jest has one too.
 */

process.env.NAPI_RS_NATIVE_LIBRARY_PATH = process.env.RS_SENDFILE_SAFETY_ADDON;

const { support } = require('..');

// Without it every transfer would copy in JS, and every test would pass.
if (!support.available) throw new Error(support.reason);
