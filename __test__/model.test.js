'use strict';

const { closeAll } = require('./streams');
const { check, connectionCase, playConnection, playSocket, socketCase } = require('./model');

afterEach(closeAll);

describe('whatever is written, sent, corked, paused and aborted in random order arrives as the model has it', () => {
  test('on a socket', () => check(socketCase, playSocket, 400));

  test('on the responses of a pipelined connection', () => check(connectionCase, playConnection, 200));
});
