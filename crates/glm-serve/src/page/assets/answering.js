// Answers being written: they go on while the user looks at another conversation or view.
import { newAnswer, streamInto } from './completion.js';
import { keep, setBusyTest } from './conversations.js';
import { requestFields } from './sampling.js';
import { refreshInfo } from './server.js';

const STORE_EVERY_MS = 1500;

/** Fires `progress` with `detail: { conversation, answer }` while an answer grows and when it ends. */
export const answeringEvents = new EventTarget();

const running = new Map();
setBusyTest((id) => running.has(id));

/** Whether an answer is being written in this conversation. */
export function isAnswering(id) {
  return running.has(id);
}

/** Stop the answer of a conversation; what has arrived stays. */
export function stopAnswer(id) {
  running.get(id)?.abort();
}

/**
 * The messages sent for the last question: the answered exchanges before it, or the question alone
 * for an adapter trained on single questions. Exchanges that got no answer are left out.
 */
export function sentMessages(messages, model) {
  const last = messages.findLastIndex((message) => message.role === 'user');
  const plain = ({ role, content }) => ({ role, content });
  if (model.adapter?.turns === 'single') return [plain(messages[last])];
  const sent = [];
  for (let index = 0; index < last; index += 1) {
    const [question, answer] = [messages[index], messages[index + 1]];
    if (question.role === 'user' && answer?.role === 'assistant' && answer.content !== '') sent.push(plain(question), plain(answer));
  }
  return [...sent, plain(messages[last])];
}

/** Ask `model` for an answer to the last question of the conversation. An answer after it is replaced. */
export async function answerLast(conversation, model) {
  if (running.has(conversation.id)) return;
  const { messages } = conversation;
  const last = messages.findLastIndex((message) => message.role === 'user');
  if (last < 0) return;
  messages.length = last + 1;
  const answer = newAnswer(model);
  messages.push(answer);
  conversation.model = model.id;
  keep(conversation);
  const controller = new AbortController();
  running.set(conversation.id, controller);
  let stored = performance.now();
  const progress = () => {
    if (performance.now() - stored > STORE_EVERY_MS) {
      stored = performance.now();
      keep(conversation, false);
    }
    answeringEvents.dispatchEvent(new CustomEvent('progress', { detail: { conversation, answer } }));
  };
  const body = { model: model.id, messages: sentMessages(messages, model), ...requestFields() };
  await streamInto(answer, body, controller.signal, progress);
  running.delete(conversation.id);
  keep(conversation, false);
  progress();
  // A model that is gone changes what can be chosen.
  if (answer.error?.kind === 'missing') refreshInfo().catch(() => {});
}
