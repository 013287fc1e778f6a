// Receivers as their authors would write them in Node.js, for tests to deliver to.
//
// Each kind listens on a port of its own, and the control on another; one line on standard output
// says which. The control takes {"offset_ms": n, "secrets": {kind: secret}}: how far this
// process's clock is put forward, and what each kind verifies with. A delivery that is accepted is
// answered with 2xx, one that is rejected with 401; 500 means that the verifier broke.
//
// The process ends when its standard input does.

'use strict';

const crypto = require('node:crypto');
const http = require('node:http');
const express4 = require('express4');
const express5 = require('express5');
const fastify5 = require('fastify5');
const standardwebhooks = require('standardwebhooks');

const secrets = {};
let offsetMs = 0;
const systemNow = Date.now;
Date.now = () => systemNow() + offsetMs;

// Autonoma's verifier, retyped from its published description: the parsed body is serialised
// again, and the header compared as a whole.
function isFromAutonoma(headers, body, secret) {
  const expected =
    'sha256=' + crypto.createHmac('sha256', secret).update(JSON.stringify(body)).digest('hex');
  return headers['x-autonoma-signature'] === expected;
}

function autonomaOnExpress(express, kind) {
  const app = express();
  // else express prints the stack of every body that it can't parse
  app.set('env', 'test');
  app.use(express.json());
  app.post('/', (request, response) => {
    if (!isFromAutonoma(request.headers, request.body, secrets[kind])) {
      return response.status(401).send('Invalid signature');
    }
    return response.status(200).send('OK');
  });
  return http.createServer(app);
}

async function autonomaOnFastify(kind) {
  const app = fastify5();
  app.post('/', async (request, reply) => {
    if (!isFromAutonoma(request.headers, request.body, secrets[kind])) {
      return reply.code(401).send('Invalid signature');
    }
    return reply.code(200).send('OK');
  });
  await app.ready();
  return app.server;
}

// Keys sorted at every level, no white space: what newer SDKs of Automa sign.
function stableStringify(value) {
  if (Array.isArray(value)) {
    return `[${value.map(stableStringify).join(',')}]`;
  }
  if (value !== null && typeof value === 'object') {
    const members = Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${stableStringify(value[key])}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value);
}

// Automa's TypeScript SDK, retyped from the description of its algorithm: the id and the time come
// from the body, the key is the text behind the prefix, and no age is checked.
function isFromAutoma(headers, body, signedText, secret) {
  const key = secret.slice('atma_whsec_'.length);
  const seconds = Math.floor(Date.parse(body.timestamp) / 1000);
  const expected =
    'v1,' +
    crypto.createHmac('sha256', key).update(`${body.id}.${seconds}.${signedText}`).digest('base64');
  return headers['webhook-signature'].split(' ').includes(expected);
}

// `v1a` by Node's own ed25519, with the tolerance of Standard Webhooks: none of the packages here
// knows it.
function isSignedByKey(headers, text, publicKey) {
  if (Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp'])) > 300) {
    return false;
  }
  const raw = Buffer.from(publicKey.slice('whpk_'.length), 'base64');
  const key = crypto.createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  });
  const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`);
  return headers['webhook-signature'].split(' ').some((one) => {
    const [version, signature] = one.split(',');
    return version === 'v1a' && crypto.verify(null, signed, key, Buffer.from(signature, 'base64'));
  });
}

function isByStandardWebhooks(headers, text, secret) {
  try {
    new standardwebhooks.Webhook(secret).verify(text, headers);
    return true;
  } catch (error) {
    if (error instanceof standardwebhooks.WebhookVerificationError) {
      return false;
    }
    throw error;
  }
}

// A receiver that reads the body as it came and asks `isGenuine(headers, text)`.
function onRawBody(isGenuine) {
  return http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      try {
        const isAccepted = isGenuine(request.headers, Buffer.concat(chunks).toString('utf8'));
        response.statusCode = isAccepted ? 204 : 401;
        response.end();
      } catch (error) {
        response.statusCode = 500;
        response.end(String(error.stack));
      }
    });
  });
}

function control() {
  return onRawBody((_headers, text) => {
    const wanted = JSON.parse(text);
    offsetMs = wanted.offset_ms ?? offsetMs;
    Object.assign(secrets, wanted.secrets);
    return true;
  });
}

async function main() {
  const servers = {
    control: control(),
    express4: autonomaOnExpress(express4, 'express4'),
    express5: autonomaOnExpress(express5, 'express5'),
    fastify5: await autonomaOnFastify('fastify5'),
    standardwebhooks: onRawBody((headers, text) =>
      isByStandardWebhooks(headers, text, secrets.standardwebhooks),
    ),
    automa: onRawBody((headers, text) => {
      const body = JSON.parse(text);
      return isFromAutoma(headers, body, stableStringify(body), secrets.automa);
    }),
    automa_older: onRawBody((headers, text) =>
      isFromAutoma(headers, JSON.parse(text), text, secrets.automa_older),
    ),
    ed25519: onRawBody((headers, text) => isSignedByKey(headers, text, secrets.ed25519)),
  };
  const ports = {};
  for (const [kind, server] of Object.entries(servers)) {
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports[kind] = server.address().port;
  }
  process.stdout.write(`${JSON.stringify(ports)}\n`);
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
}

main();
