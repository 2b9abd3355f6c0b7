'use strict';

const { register, unregister } = require('./lib/register/hook');
const { stats } = require('./lib/register/stats');

register();

module.exports.register = register;
module.exports.unregister = unregister;
module.exports.stats = stats;
