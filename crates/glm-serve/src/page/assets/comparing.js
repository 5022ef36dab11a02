// Comparisons: one prompt answered by several models at once. The last ones are kept in the browser.
import { newAnswer, streamInto } from './completion.js';
import { requestFields } from './sampling.js';
import { findModel } from './server.js';
import { load, save } from './storage.js';

const KEPT_ROUNDS = 20;

/** Fires `progress` with `detail: { round, answer }`. */
export const comparingEvents = new EventTarget();

const controllers = new Map();

function isRound(value) {
  return typeof value?.id === 'string' && typeof value.prompt === 'string' && Array.isArray(value.answers)
    && value.answers.every((answer) => typeof answer?.content === 'string' && typeof answer.model === 'string');
}

const stored = load('compare', []);
const rounds = (Array.isArray(stored) ? stored : []).filter(isRound);
for (const answer of rounds.flatMap((round) => round.answers)) {
  if (answer.status === 'streaming') answer.status = 'stopped';
}

/** All comparisons, the newest first. */
export function comparisons() {
  return rounds;
}

function keep() {
  save('compare', rounds);
}

/** Whether any answer is being written. */
export function isComparing() {
  return controllers.size > 0;
}

/** Stop all answers being written. */
export function stopComparing() {
  for (const controller of controllers.values()) controller.abort();
}

/** Forget a comparison. */
export function discardComparison(round) {
  for (const answer of round.answers) controllers.get(answer.id)?.abort();
  rounds.splice(rounds.indexOf(round), 1);
  keep();
}

/** Ask (again) for one answer of a comparison. */
export async function answerOne(round, answer) {
  const controller = new AbortController();
  const { id } = answer;
  const asked = answer.asked ?? answer.model;
  controllers.set(id, controller);
  Object.assign(answer, { content: '', status: 'streaming', finish: null, error: null, tokens: null, seconds: null });
  const progress = () => comparingEvents.dispatchEvent(new CustomEvent('progress', { detail: { round, answer } }));
  progress();
  const body = { model: asked, messages: [{ role: 'user', content: round.prompt }], ...requestFields() };
  await streamInto(answer, body, controller.signal, progress);
  controllers.delete(id);
  keep();
  progress();
}

/** Ask all models the same prompt; the comparison comes first in the list. */
export function compare(prompt, ids) {
  const answers = ids.map(findModel).filter(Boolean).map((model) => ({ ...newAnswer(model), asked: model.id, tuned: Boolean(model.adapter) }));
  const round = { id: `${Date.now()}-${Math.random().toString(36).slice(2)}`, prompt, answers };
  rounds.unshift(round);
  rounds.length = Math.min(rounds.length, KEPT_ROUNDS);
  for (const answer of answers) answerOne(round, answer);
  return round;
}
