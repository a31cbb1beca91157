// sharp behind node's http: /fit/WIDTH/HEIGHT/NAME, /cover/WIDTH/HEIGHT/NAME and /wide/WIDTH/0/NAME.
// Usage: node sharp.js PORT FOLDER CORES, with sharp in NODE_PATH.
'use strict';
const fs = require('node:fs/promises');
const http = require('node:http');
const path = require('node:path');
const sharp = require('sharp');

const [port, folder, cores] = process.argv.slice(2);
sharp.cache(false);
sharp.concurrency(Number(cores));

const sizes = {
  fit: (width, height) => ({ width, height, fit: 'inside' }),
  cover: (width, height) => ({ width, height, fit: 'cover' }),
  wide: (width) => ({ width }),
};

async function answer(url) {
  const [kind, width, height, name] = url.slice(1).split('/');
  const source = await fs.readFile(path.join(folder, name));
  const image = sharp(source).autoOrient().resize(sizes[kind](Number(width), Number(height)));
  const isPng = name.endsWith('.png');
  const body = await (isPng ? image.png() : image.jpeg({ quality: 80 })).toBuffer();
  return { type: isPng ? 'image/png' : 'image/jpeg', body };
}

const server = http.createServer((request, response) => {
  answer(request.url).then(
    ({ type, body }) => {
      response.writeHead(200, { 'Content-Type': type, 'Content-Length': body.length });
      response.end(body);
    },
    (error) => {
      response.writeHead(500, { 'Content-Length': 0 });
      response.end();
      console.error(error);
    },
  );
});
server.keepAliveTimeout = 600_000;
server.listen(Number(port), '127.0.0.1');
