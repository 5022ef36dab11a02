// A stand-in for `glmtune serve`: serves the page's files with the server's headers and fakes the API,
// with the slow, refused and broken answers that a real server gives only when something is wrong.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answerFor, hostileName, models, runDetail, runList } from './fakes.mjs';

const ASSETS = fileURLToPath(new URL('../../crates/glm-serve/src/page/assets/', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8' };
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function json(response, status, value, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

function problem(response, status, message, type, headers) {
  json(response, status, { error: { message, type, param: null, code: status === 429 ? 'queue_full' : null } }, headers);
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

async function complete(state, request, response) {
  const asked = await body(request);
  state.asked.push(asked);
  const question = asked.messages.at(-1).content;
  if (state.refuse > 0) {
    state.refuse -= 1;
    return problem(response, 429, 'the queue holds 64 requests and takes no more', 'rate_limit_error', { 'retry-after': '2' });
  }
  if (question.includes('[refuse]')) return problem(response, 400, 'temperature must be between 0 and 2, not 9', 'invalid_request_error');
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  const chunk = (delta, finish = null) => send({
    id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: asked.model, system_fingerprint: 'mock',
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  response.on('close', () => { if (!response.writableFinished) state.cancelled += 1; });
  const slow = question.includes('[slow]');
  await sleep(state.pace * 4);
  chunk({ role: 'assistant', content: '' });
  const text = answerFor(asked);
  const pieces = text.match(/[\s\S]{1,6}/gu) ?? [];
  let sent = 0;
  for (const piece of pieces) {
    if (response.destroyed) return undefined;
    chunk({ content: piece });
    sent += 1;
    if (sent === 5 && question.includes('[error]')) {
      send({ error: { message: 'layer 17 gave logits that are not numbers', type: 'server_error', param: null, code: null } });
      return response.end();
    }
    if (sent === 5 && question.includes('[gone]')) return response.destroy();
    await sleep(slow ? 60 : state.pace);
  }
  chunk({}, question.includes('[long]') ? 'length' : 'stop');
  send({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: asked.model, choices: [], usage: { prompt_tokens: 12, completion_tokens: sent, total_tokens: 12 + sent } });
  response.write('data: [DONE]\n\n');
  return response.end();
}

async function asset(path, response) {
  const name = path === '/' ? 'index.html' : normalize(path).replace(/^\/assets\//, '');
  try {
    if (name.startsWith('..') || name.startsWith('/')) throw new Error('outside');
    const bytes = await readFile(join(ASSETS, name));
    response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' });
    response.end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}

async function handle(state, request, response) {
  const path = new URL(request.url, 'http://mock').pathname;
  response.setHeader('content-security-policy', CSP);
  response.setHeader('x-content-type-options', 'nosniff');
  if (path === '/api/hello') return json(response, 200, { name: 'glmtune', version: '0.1.0', needs_key: state.key !== null });
  if (!path.startsWith('/api/') && !path.startsWith('/v1/')) return asset(path, response);
  if (state.key !== null && request.headers.authorization !== `Bearer ${state.key}`) {
    return problem(response, 401, 'this server needs an API key: send Authorization: Bearer KEY', 'authentication_error');
  }
  if (state.broken) return problem(response, 500, 'the disk does not answer', 'server_error');
  if (path === '/v1/chat/completions') return complete(state, request, response);
  if (path === '/api/info') {
    return json(response, 200, {
      base: { name: 'chatglm2-6b', variant: 'ChatGLM2', layers: 28, parameters: 6243584000, held_as: 'INT4, output layer INT4', compute: 'bf16' },
      default_model: 'chatglm2-6b', models: state.models,
      defaults: { max_length: 8192, top_p: 0.800000011920929, temperature: 0.800000011920929, top_k: 50, repetition_penalty: 1.0 },
      limits: { max_length: 32768 }, runs: state.runs !== null,
    });
  }
  if (path === '/api/runs') return json(response, 200, { runs: state.runs, error: null });
  if (path.startsWith('/api/runs/')) {
    const run = state.runs.find((each) => each.id === decodeURIComponent(path.slice('/api/runs/'.length)));
    return run ? json(response, 200, runDetail(run, state.tick())) : problem(response, 404, 'no such run', 'invalid_request_error');
  }
  return problem(response, 404, 'no such route', 'invalid_request_error');
}

/** Start a stand-in; change its behaviour through the returned object's fields. */
export async function startMock({ port = 0, key = null, pace = 8, runs = runList(), hostile = false } = {}) {
  let ticks = 0;
  const state = {
    key, pace, runs, refuse: 0, broken: false, cancelled: 0, asked: [],
    models: hostile ? [...models(), { id: `chatglm2-6b:${hostileName}`, adapter: { name: hostileName, kind: hostileName, turns: null, source_prefix: hostileName, warning: hostileName } }] : models(),
    tick: () => { ticks += 1; return ticks; },
  };
  const server = createServer((request, response) => {
    handle(state, request, response).catch((error) => {
      if (!response.headersSent) problem(response, 500, String(error), 'server_error');
    });
  });
  await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  state.url = `http://127.0.0.1:${server.address().port}/`;
  state.close = () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); });
  return state;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock({ port: Number(process.env.PORT ?? 8799), pace: 30 });
  console.log(`page with a faked API at ${mock.url}`);
}
