// sharp without a server. Each line on standard input is an order, `TIMES WIDTH HEIGHT FILE`; each is answered by a line,
// milliseconds of wall clock and of CPU for all of them, one after another: `WALL CPU`.
// Usage: node sharp-batch.js, with sharp in NODE_PATH.
'use strict';
const fs = require('node:fs');
const readline = require('node:readline');
const sharp = require('sharp');

sharp.cache(false);
sharp.concurrency(1);

async function carryOut(order) {
  const [, times, width, height, file] = /^(\d+) (\d+) (\d+) (.*)$/.exec(order);
  const source = fs.readFileSync(file);
  const size = { width: Number(width), height: Number(height), fit: 'inside' };
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  for (let n = 0; n < Number(times); n += 1) {
    const image = sharp(source).autoOrient().resize(size);
    await (file.endsWith('.png') ? image.png() : image.jpeg({ quality: 80 })).toBuffer();
  }
  const wall = Number(process.hrtime.bigint() - start) / 1e6;
  const { user, system } = process.cpuUsage(cpu);
  return `${wall} ${(user + system) / 1e3}`;
}

(async () => {
  for await (const order of readline.createInterface({ input: process.stdin })) {
    console.log(await carryOut(order));
  }
})();
