// The messages of a conversation, following the answer as it grows unless the reader scrolled away.
import { answerView } from './answer-view.js';
import { fill, h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { questionView } from './question-view.js';

const NEAR_END_PX = 80;

/** The thread: `{ node, show, progress, toEnd, destroy }`. `empty()` makes what an empty conversation shows. */
export function thread({ resend, regenerate, retry, retries, empty }) {
  const inner = h('div', { class: 'thread-inner' });
  const latest = h('button', { type: 'button', class: 'to-latest', 'aria-label': t('chat.latest'), title: t('chat.latest'), hidden: true, onclick: () => toEnd() }, icon('down'));
  const scroller = h('section', { class: 'thread', 'aria-label': t('chat.log'), tabindex: 0 }, inner);
  const node = h('div', { class: 'thread-box' }, scroller, latest);
  const views = new Map();
  let following = true;
  const nearEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
  const toEnd = () => {
    following = true;
    latest.hidden = true;
    scroller.scrollTop = scroller.scrollHeight;
  };
  scroller.addEventListener('scroll', () => {
    following = nearEnd();
    latest.hidden = following;
  }, { passive: true });
  const watch = new ResizeObserver(() => {
    if (following) scroller.scrollTop = scroller.scrollHeight;
    else latest.hidden = nearEnd();
  });
  watch.observe(inner);
  watch.observe(scroller);

  function clear() {
    for (const view of views.values()) view.destroy();
    views.clear();
  }

  function show(conversation) {
    clear();
    const { messages } = conversation;
    if (messages.length === 0) {
      fill(inner, empty());
      scroller.scrollTop = 0;
      return;
    }
    let questions = 0;
    const parts = [];
    messages.forEach((message, index) => {
      const last = index === messages.length - 1;
      if (message.role === 'user') {
        questions += 1;
        // Without history, exchanges do not know each other: they are set apart.
        if (messages[index + 1]?.turns === 'single') parts.push(h('p', { class: 'own' }, h('span', {}, t('chat.own', { number: questions }))));
        parts.push(questionView(message, { resend: (text) => resend(index, text) }));
      } else {
        const view = answerView(message, { retry, regenerate: last ? regenerate : null, spoken: true, retries });
        views.set(message.id, view);
        parts.push(view.node);
      }
    });
    fill(inner, parts);
  }

  return {
    node,
    show,
    progress(answer) {
      views.get(answer.id)?.update();
      return views.has(answer.id);
    },
    toEnd,
    destroy() {
      watch.disconnect();
      clear();
    },
  };
}
