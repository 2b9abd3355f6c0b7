'use strict';

const { closeAll } = require('../streams');
const { check, connectionCase, playConnection, playSocket, socketCase } = require('../model');

afterEach(closeAll);

describe('model.test.js, ten times as long', () => {
  test('on a socket', () => check(socketCase, playSocket, 4000));

  test('on the responses of a pipelined connection', () => check(connectionCase, playConnection, 3000));
});
