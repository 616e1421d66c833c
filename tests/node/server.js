// Runs a Sluice server in its own process, on free ports.

'use strict';

const {spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const ADDRESSES = 'listen: 127.0.0.1:0\nmetrics: 127.0.0.1:0\n';

class Server {
  // Starts a server. `config` is YAML without the addresses. "$DIR" in `config`
  // is replaced by a directory that exists as long as the server.
  static async start(config) {
    const server = new Server();
    server.directory =
        fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-node-'));
    const file = path.join(server.directory, 'config.yaml');
    fs.writeFileSync(
        file, ADDRESSES + config.replaceAll('$DIR', server.directory));
    server.process = spawn(process.env.SLUICE, ['--config', file],
                           {stdio: ['ignore', 'ignore', 'pipe']});
    server.ended = new Promise((resolve) => {
      server.process.on('close', resolve);
    });
    process.on('exit', () => server.process.kill('SIGKILL'));
    await server.untilServing();
    return server;
  }

  async untilServing() {
    const lines = [];
    for await (const line of readline.createInterface(
        {input: this.process.stderr})) {
      lines.push(line);
      const ports = line.match(/ port=(\d+) metrics_port=(\d+)/);
      if (ports === null) continue;
      this.address = `127.0.0.1:${ports[1]}`;
      this.metricsUrl = `http://127.0.0.1:${ports[2]}/metrics`;
      this.process.stderr.resume();
      return;
    }
    throw new Error(`the server did not start:\n${lines.join('\n')}`);
  }

  // Returns the sum of the samples of a metric that have all these labels.
  async metric(name, labels = {}) {
    const text = await (await fetch(this.metricsUrl)).text();
    const wanted = Object.entries(labels).map(([k, v]) => `${k}="${v}"`);
    return text.split('\n')
        .filter((line) => line.startsWith(`${name}{`) &&
                          wanted.every((label) => line.includes(label)))
        .reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
  }

  // Resolves once the metric has that value. If that never happens, the time
  // limit of the test ends the wait.
  async untilMetric(name, labels, value) {
    while (await this.metric(name, labels) !== value);
  }

  // Drains the server. Resolves to the exit code.
  async stop() {
    this.process.kill('SIGTERM');
    const code = await this.ended;
    fs.rmSync(this.directory, {recursive: true});
    return code;
  }
}

module.exports = {Server};
