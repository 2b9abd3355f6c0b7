export * from './index.js';

import type * as api from './index.js';

declare const _default: typeof api;
export default _default;
