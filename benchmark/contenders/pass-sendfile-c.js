'use strict';

const { cPass } = require('../lib/line-program');

module.exports = cPass({ title: 'C: sendfile', method: 'sendfile' });
