'use strict';

/**
 * Contenders take turns in short rounds, A B C A B C: whatever else the machine does meets all of them alike. One that
 * fails is out of the rest, and its reason is told.
 * @param {object} what
 * @param {string[]} what.names
 * @param {number} what.rounds
 * @param {number} [what.limitMs] once it is over, no further round begins; one there is always
 * @param {number} [what.warmUps] rounds before them that count for nobody
 * @param {(name: string, round: number) => Promise<Record<string, any>>} what.play one round: its figures, and
 *   `errors`, a text, if not all of it went well
 * @param {(name: string, round: number) => void} [what.say]
 */
async function takeTurns({ names, rounds, limitMs = 60_000, warmUps = 0, play, say = () => {} }) {
  const played = Object.fromEntries(names.map((name) => [name, []]));
  const failed = {};
  const errors = {};
  const end = performance.now() + limitMs;
  for (let round = -warmUps; round < rounds; round++) {
    if (round > 0 && performance.now() > end) break;
    for (const name of names) {
      if (failed[name]) continue;
      say(name, round);
      try {
        const { errors: some, ...figures } = await play(name, round);
        if (some) errors[name] = some;
        if (round >= 0) played[name].push(figures);
      } catch (error) {
        failed[name] = error.message;
        delete played[name];
      }
    }
  }
  return { rounds: played, errors, failed };
}

module.exports = { takeTurns };
