// What the server says of itself (base, models, defaults), shared by all views.
import { getJson } from './api.js';
import { load, save } from './storage.js';

/** Fires `change` when the models on the server change. */
export const serverEvents = new EventTarget();

let info = null;
let fetched = 0;

/** The last `/api/info`; null before the first. */
export function serverInfo() {
  return info;
}

/** Fetch `/api/info` anew; rejects with an `ApiError`. */
export async function refreshInfo() {
  const next = await getJson('api/info');
  const changed = JSON.stringify(next.models) !== JSON.stringify(info?.models);
  info = next;
  fetched = performance.now();
  if (changed) serverEvents.dispatchEvent(new Event('change'));
  return info;
}

const FRESH_MS = 5000;

/** Fetch `/api/info` unless that was done moments ago; a failure leaves what is known. */
export async function refreshIfOld() {
  if (performance.now() - fetched < FRESH_MS) return;
  fetched = performance.now();
  await refreshInfo().catch(() => {});
}

/** The model of an id, or undefined when the server does not have it. */
export function findModel(id) {
  return info?.models.find((model) => model.id === id);
}

/** The model chosen last time if it is still there, else the server's default. */
export function chosenModel() {
  return findModel(load('model')) ?? findModel(info.default_model) ?? info.models[0];
}

/** Remember the choice for new conversations and the next visit. */
export function chooseModel(id) {
  save('model', id);
}

/** What to call a model where the base is clear: the adapter's name, or the base's. */
export function shortName(model) {
  return model.adapter?.name ?? model.id;
}

/** `P-Tuning v2`, `LoRA` or null for the base. */
export function kindName(model) {
  if (!model?.adapter) return null;
  return /^P-Tuning/i.test(model.adapter.kind) ? 'P-Tuning v2' : String(model.adapter.kind);
}
