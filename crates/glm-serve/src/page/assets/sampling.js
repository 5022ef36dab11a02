// Sampling parameters: the server's defaults with the user's changes laid over them, kept per base model.
import { load, save } from './storage.js';
import { serverInfo } from './server.js';

const LENGTHS = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];

/** The sliders, in the order shown: bounds and the step of each. */
export const SLIDERS = [
  { name: 'temperature', min: 0.05, max: 2, step: 0.05 },
  { name: 'top_p', min: 0.05, max: 1, step: 0.05 },
  { name: 'top_k', min: 0, max: 100, step: 1 },
  { name: 'repetition_penalty', min: 1, max: 2, step: 0.05 },
];

/** Fires `change` after every change. */
export const samplingEvents = new EventTarget();

let changes = null;

function place() {
  return `sampling.${serverInfo().base.variant}`;
}

function current() {
  if (changes === null) {
    const stored = load(place(), {});
    changes = stored !== null && typeof stored === 'object' && !Array.isArray(stored) ? stored : {};
  }
  return changes;
}

/** The default of a parameter; null means: left to the server. */
export function defaultOf(name) {
  if (name === 'greedy') return false;
  if (name === 'seed' || name === 'max_tokens') return null;
  const value = serverInfo().defaults?.[name];
  // A server that computes in single precision says 0.800000012 for 0.8.
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}

/** The value in use. */
export function value(name) {
  return current()[name] ?? defaultOf(name);
}

/** Set a parameter; its default, or null, removes the change. */
export function set(name, next) {
  const same = next === null || next === defaultOf(name);
  if (same) delete current()[name];
  else current()[name] = next;
  save(place(), current());
  samplingEvents.dispatchEvent(new Event('change'));
}

/** Back to the defaults. */
export function reset() {
  changes = {};
  save(place(), changes);
  samplingEvents.dispatchEvent(new Event('change'));
}

/** How many parameters differ from their defaults. */
export function changedCount() {
  return Object.keys(current()).length;
}

/** The lengths the answer slider steps through: null (left to the server), then powers of two. */
export function lengthSteps() {
  const most = serverInfo().limits?.max_length ?? 8192;
  // Prompt and answer share it: as much as all of it can never be had.
  return [null, ...LENGTHS.filter((length) => length < most)];
}

/** The fields of a completion request. */
export function requestFields() {
  const fields = {};
  if (value('greedy')) {
    fields.temperature = 0;
  } else {
    for (const name of ['temperature', 'top_p', 'top_k']) {
      if (value(name) !== null) fields[name] = value(name);
    }
  }
  if (value('repetition_penalty') !== null) fields.repetition_penalty = value('repetition_penalty');
  for (const name of ['max_tokens', 'seed']) {
    if (value(name) !== null) fields[name] = value(name);
  }
  return fields;
}
