'use strict';

/** What a program that npm runs owes its user: it stands where the user does, and ends when npm is ended. */

function followNpm() {
  if (!process.env.INIT_CWD) return;
  // npm runs scripts in the package's directory; a relative path is meant from where the user stands.
  process.chdir(process.env.INIT_CWD);
  // A SIGTERM to npm ends npm and its shell, but the shell does not pass it on: without them we end too.
  const parent = process.ppid;
  const watch = () => process.ppid !== parent && process.kill(process.pid, 'SIGTERM');
  setInterval(watch, 500).unref();
}

module.exports = { followNpm };
