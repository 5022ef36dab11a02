// Requests to the server that this page came from, with the key, and its errors as one class.
import { load, remove, save } from './storage.js';

/** A failed request. `kind` chooses the advice shown; `message` is the server's own. */
export class ApiError extends Error {
  constructor(kind, message, { status = 0, code = null, retryAfter = null } = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** What can be stored with a message and shown again later. */
  plain() {
    return { kind: this.kind, message: this.message, retryAfter: this.retryAfter };
  }
}

let key = load('key', null, 'session') ?? load('key', null);

/** Use this key from now on; it is stored by `keepKey` once the server has accepted it. Returns the one before. */
export function useKey(value) {
  const before = key;
  key = value;
  return before;
}

/** Store the key in use for this tab, or with `remember` also for later visits. */
export function keepKey(remember) {
  remove('key', 'session');
  remove('key');
  save('key', key, remember ? 'local' : 'session');
}

/** Whether a key is in use. */
export function hasKey() {
  return key !== null;
}

/** A header value the browser will send: visible ASCII. */
export function sendable(value) {
  return /^[\x21-\x7e]+$/.test(value);
}

const DEFAULT_WAIT_S = 3;
const LONGEST_WAIT_S = 120;

function retryAfter(response) {
  const header = response.headers.get('retry-after');
  if (header === null) return DEFAULT_WAIT_S;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  if (!Number.isFinite(seconds)) return DEFAULT_WAIT_S;
  return Math.min(LONGEST_WAIT_S, Math.max(1, Math.ceil(seconds)));
}

function kindOf(status, type) {
  if (status === 401) return 'key';
  if (status === 429) return 'busy';
  if (status === 503) return 'stopping';
  if (status === 404) return 'missing';
  if (status === 408 || status === 504 || type === 'timeout') return 'timeout';
  if (type === 'rate_limit_error') return 'busy';
  if (type === 'authentication_error') return 'key';
  if (type === 'invalid_request_error' || (status >= 400 && status < 500)) return 'request';
  return 'server';
}

/** The error of an OpenAI error object, also when it comes within a stream (status 200). */
export function errorOf(object, status = 200, wait = null) {
  const error = object?.error;
  const message = typeof error === 'string' ? error : error?.message;
  const kind = kindOf(status, error?.type);
  return new ApiError(kind, String(message ?? `HTTP ${status}`), {
    status, code: error?.code ?? null, retryAfter: kind === 'busy' ? wait ?? DEFAULT_WAIT_S : wait,
  });
}

/** Fetch a path of the server; the response is ok, or an `ApiError` is thrown (`AbortError` passes through). */
export async function request(path, { body, signal } = {}) {
  const headers = { accept: 'application/json' };
  if (key !== null) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? 'GET' : 'POST', headers, signal, cache: 'no-store', redirect: 'error',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError('network', '');
  }
  if (response.ok) return response;
  const object = await response.json().catch(() => null);
  const wait = response.status === 429 || response.status === 503 ? retryAfter(response) : null;
  throw errorOf(object, response.status, wait);
}

/** Fetch and parse JSON. */
export async function getJson(path, options) {
  const response = await request(path, options);
  try {
    return await response.json();
  } catch (cause) {
    if (options?.signal?.aborted) throw cause;
    throw new ApiError('server', 'the answer is not JSON');
  }
}
