'use strict';

/** A transform of jest's, for packages that are ES modules: its `require` does not take those before Node 24.9. */

const { ModuleKind, ScriptTarget, transpileModule } = require('typescript');

const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 };

module.exports = {
  process: (text) => ({ code: transpileModule(text, { compilerOptions }).outputText }),
};
