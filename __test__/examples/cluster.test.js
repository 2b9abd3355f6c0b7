'use strict';

const { endsCleanly, webTests } = require('./web');

const current = webTests('cluster', { routes: ['/'] });
endsCleanly(current);
