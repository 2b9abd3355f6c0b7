'use strict';

/** A flame graph as SVG: the width of a call is its part of the time, what it calls stands above it. */

const [WIDTH, ROW, TOP] = [1200, 17, 60];
/** Narrower ones could not be seen. */
const NARROWEST = 0.4;
const LETTER = 6.6;
const KINDS = { js: '#e5b93c', node: '#8fb8de', addon: '#e0763a', kernel: '#9ccc8f' };
const MEANINGS = { js: 'JavaScript', node: 'Node and libraries', addon: 'rs-sendfile', kernel: 'kernel' };

/**
 * @param {string} title
 * @param {{ frames: { name: string, kind: string }[], weight: number }[]} stacks
 */
function flameGraph(title, stacks) {
  const root = treeOf(stacks);
  const boxes = [];
  const place = (node, x, depth) => {
    const width = (node.weight / root.weight) * WIDTH;
    if (width < NARROWEST) return;
    boxes.push({ node, x, depth, width });
    let at = x;
    for (const child of [...node.children.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      place(child, at, depth + 1);
      at += (child.weight / root.weight) * WIDTH;
    }
  };
  place(root, 0, 0);
  const depth = Math.max(...boxes.map((box) => box.depth));
  const height = TOP + (depth + 1) * ROW + 4;
  const legend = Object.entries(KINDS).map(
    ([kind, color], i) =>
      `<rect x="${8 + i * 170}" y="34" width="12" height="12" fill="${color}"/><text class="ink" x="${26 + i * 170}" y="44">${MEANINGS[kind]}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">`,
    '<style>text{font:11px ui-monospace,monospace;fill:#111}.ink{fill:#1f2328}.title{font:bold 15px system-ui,sans-serif}',
    '@media (prefers-color-scheme:dark){.ink{fill:#e6edf3}}</style>',
    `<text class="ink title" x="8" y="20">${escaped(title)}</text>`,
    ...legend,
    ...boxes.map(({ node, x, depth: row, width }) => {
      const y = height - 4 - (row + 1) * ROW;
      const part = ((100 * node.weight) / root.weight).toFixed(1);
      const room = Math.floor((width - 6) / LETTER);
      const words = node.name.length > room ? `${node.name.slice(0, Math.max(0, room - 1))}…` : node.name;
      const text = room < 3 ? '' : `<text x="${(x + 3).toFixed(1)}" y="${y + 12}">${escaped(words)}</text>`;
      const box = `<rect x="${x.toFixed(1)}" y="${y}" width="${Math.max(width - 0.5, 0.3).toFixed(1)}" height="${ROW - 1}" fill="${KINDS[node.kind] ?? '#ccc'}"/>`;
      return `<g><title>${escaped(node.name)}: ${part} %</title>${box}${text}</g>`;
    }),
    '</svg>\n',
  ].join('\n');
}

/** All stacks as one tree. */
function treeOf(stacks) {
  const root = { name: 'all', kind: 'all', weight: 0, children: new Map() };
  for (const { frames, weight } of stacks) {
    root.weight += weight;
    let node = root;
    for (const { name, kind } of frames) {
      if (!node.children.has(name)) node.children.set(name, { name, kind, weight: 0, children: new Map() });
      node = node.children.get(name);
      node.weight += weight;
    }
  }
  return root;
}

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => ENTITIES[sign]);

module.exports = { flameGraph };
