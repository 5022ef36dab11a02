// One streamed chat completion, written into a message object as it arrives.
import { ApiError, errorOf, request } from './api.js';
import { events } from './sse.js';

async function* chunks(body, signal) {
  const response = await request('v1/chat/completions', {
    body: { ...body, stream: true, stream_options: { include_usage: true } }, signal,
  });
  let finished = false;
  try {
    for await (const data of events(response.body)) {
      if (data === '[DONE]') return;
      let chunk;
      try {
        chunk = JSON.parse(data);
      } catch {
        throw new ApiError('server', 'a part of the answer is not JSON');
      }
      if (chunk.error) throw errorOf(chunk);
      if (chunk.choices?.[0]?.finish_reason) finished = true;
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof ApiError || signal.aborted) throw cause;
    throw new ApiError('cut', '');
  }
  if (!finished) throw new ApiError('cut', '');
}

const failedNow = new WeakSet();

/** Whether this answer failed since the page was opened: only then may it be tried again unasked. */
export function failedJustNow(answer) {
  return failedNow.has(answer);
}

/** A new, empty answer of a model. `turns` records whether history went with the question. */
export function newAnswer(model) {
  return {
    id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`,
    role: 'assistant', content: '', model: model.id, turns: model.adapter?.turns ?? null,
    status: 'streaming', finish: null, error: null, tokens: null, seconds: null,
  };
}

/**
 * Stream a completion into `answer`, calling `changed()` after each part. Never rejects:
 * the end is in `answer.status` (`done`, `stopped` or `error`) and `answer.error`.
 */
export async function streamInto(answer, body, signal, changed) {
  const began = performance.now();
  answer.status = 'streaming';
  answer.error = null;
  try {
    for await (const chunk of chunks(body, signal)) {
      const choice = chunk.choices?.[0];
      // The server's word on who answers, not what was asked for.
      if (typeof chunk.model === 'string' && chunk.model !== '') answer.model = chunk.model;
      if (typeof choice?.delta?.content === 'string') answer.content += choice.delta.content;
      if (choice?.finish_reason) answer.finish = choice.finish_reason;
      if (Number.isFinite(chunk.usage?.completion_tokens)) answer.tokens = chunk.usage.completion_tokens;
      changed();
    }
    answer.status = 'done';
  } catch (cause) {
    if (signal.aborted) {
      answer.status = 'stopped';
    } else {
      answer.status = 'error';
      failedNow.add(answer);
      answer.error = cause instanceof ApiError ? cause.plain() : { kind: 'server', message: String(cause?.message ?? cause), retryAfter: null };
    }
  }
  answer.seconds = (performance.now() - began) / 1000;
  changed();
}
