'use strict';

const { endsCleanly, webTests } = require('./web');

const current = webTests('http', { routes: ['/'] });
endsCleanly(current);
