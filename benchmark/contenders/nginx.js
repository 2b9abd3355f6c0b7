'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { has, launch, listening, SERVER_CORE } = require('../lib/processes');

/** One worker, as there is one core; sendfile on; whatever is not said here is nginx's default. */
const config = ({ root, port }) => `
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr crit;
${process.getuid() === 0 ? 'user root;' : ''}
events { worker_connections 16384; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server { listen 127.0.0.1:${port} backlog=8192; root ${root}; }
}
`;

module.exports = {
  title: 'nginx',
  scenarios: 'cdeg',
  available: () => has('nginx') || 'not on PATH: apt-get install nginx-light',
  async start({ root, port, directory, netns }) {
    const place = fs.mkdtempSync(path.join(directory, 'nginx-'));
    const file = path.join(place, 'nginx.conf');
    fs.writeFileSync(file, config({ root, port }));
    const command = ['nginx', '-p', place, '-c', file, '-e', 'stderr'];
    const program = launch(command, { core: SERVER_CORE, netns });
    await listening(program, port);
    return program;
  },
};
