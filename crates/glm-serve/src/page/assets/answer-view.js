// One answer on the page: who answers, the text as it grows, how it ended, and what can be done with it.
import { announce, sentenceReader } from './announce.js';
import { failedJustNow } from './completion.js';
import { copyButton } from './copy.js';
import { fill, h } from './dom.js';
import { number } from './format.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { showMarkdown } from './markdown.js';
import { modelChip } from './model-picker.js';
import { errorCard } from './notice.js';
import { enterKey } from './session-key.js';

const MOST_AUTOMATIC_RETRIES = 5;

function statistics(answer) {
  if (answer.seconds === null || answer.status === 'streaming' || (answer.status === 'error' && answer.content === '')) return null;
  const seconds = number(answer.seconds, 1);
  if (!answer.tokens) return t('answer.seconds', { seconds });
  return t('answer.stats', { tokens: number(answer.tokens), seconds, rate: number(answer.tokens / Math.max(answer.seconds, 0.001), 1) });
}

function ending(answer) {
  if (answer.status === 'stopped') return ['stopped', t('answer.stopped')];
  if (answer.status !== 'done') return null;
  if (answer.finish === 'length') return ['cut', t('answer.length')];
  if (answer.finish === 'repetition') return ['cut', t('answer.repetition')];
  return null;
}

/**
 * The view of an answer: `{ node, update, destroy }`. Call `update()` when the answer changed; drawing
 * is put off to the next frame. `retry(automatic)` asks again; `spoken` reads it to screen readers.
 */
export function answerView(answer, { retry, regenerate = null, spoken = true, headed = true, retries = () => 0 }) {
  const title = h('h2', { class: 'answer-title' }, h('span', { class: 'sr-only' }, t('answer.of', { model: answer.model })));
  const text = h('div', { class: 'markdown' });
  const state = h('div', { class: 'answer-state' });
  const foot = h('div', { class: 'answer-foot' });
  const node = h('article', { class: 'answer' }, headed ? title : null, text, state, foot);
  const speak = sentenceReader(answer.content.length);
  let model = null;
  let frame = null;
  let card = null;
  let shownStatus = null;

  function drawTitle() {
    if (model === answer.model) return;
    model = answer.model;
    fill(title, h('span', { class: 'sr-only' }, t('answer.of', { model })), h('span', { 'aria-hidden': 'true' }, modelChip(model)));
  }

  function drawEnd() {
    card?.destroy();
    card = null;
    const end = ending(answer);
    const lost = answer.status === 'error' && answer.content !== '';
    fill(state,
      end ? h('p', { class: `ending ${end[0]}` }, icon(end[0] === 'cut' ? 'warning' : 'stop', 14), end[1]) : null,
      lost ? h('p', { class: 'ending cut' }, icon('warning', 14), t('answer.cut')) : null,
      answer.status === 'done' && answer.content.trim() === '' ? h('p', { class: 'ending' }, t('answer.empty')) : null);
    if (answer.status === 'error') {
      const automatic = answer.error.kind === 'busy' && retries() < MOST_AUTOMATIC_RETRIES && failedJustNow(answer);
      card = errorCard(answer.error, {
        retry: () => retry(automatic), automatic,
        enterKey: async () => { if (await enterKey()) retry(false); },
      });
      state.append(card.node);
    }
    const statistic = statistics(answer);
    fill(foot,
      answer.content !== '' ? copyButton(() => answer.content, t('chat.copy.answer')) : null,
      regenerate && answer.status !== 'error'
        ? h('button', { type: 'button', class: 'icon-button', 'aria-label': t('chat.regenerate'), title: t('chat.regenerate'), onclick: regenerate }, icon('refresh', 16)) : null,
      statistic ? h('span', { class: 'statistics' }, statistic) : null);
  }

  function draw() {
    frame = null;
    drawTitle();
    node.classList.toggle('streaming', answer.status === 'streaming');
    node.setAttribute('aria-busy', String(answer.status === 'streaming'));
    showMarkdown(text, answer.content);
    if (spoken && (shownStatus === 'streaming' || answer.status === 'streaming')) speak(answer.content, answer.status !== 'streaming');
    if (shownStatus === answer.status) return;
    const before = shownStatus;
    shownStatus = answer.status;
    if (answer.status === 'streaming') {
      card?.destroy();
      card = null;
      fill(foot);
      fill(state, h('p', { class: 'waiting' }, h('span', { class: 'dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), h('span', { class: 'sr-only' }, t('answer.waiting'))));
      if (spoken && answer.content === '') announce(t('answer.begins'));
    } else {
      drawEnd();
      if (spoken && before === 'streaming' && answer.status !== 'error') announce(t(answer.status === 'stopped' ? 'answer.stopped' : 'answer.done'));
    }
  }

  draw();
  return {
    node,
    update() {
      frame ??= requestAnimationFrame(draw);
    },
    destroy() {
      if (frame !== null) cancelAnimationFrame(frame);
      card?.destroy();
    },
  };
}
