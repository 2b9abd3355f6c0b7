'use strict';

const { cPass } = require('../lib/line-program');

module.exports = cPass({ title: 'C: read, write', method: 'read-write' });
