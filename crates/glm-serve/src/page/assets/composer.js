// The box a question is written in. Enter sends, Shift+Enter breaks the line, and an input method's Enter does neither.
import { fill, h, uid } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';

const TALLEST_PX = 240;

/** Whether Enter in this event sends: not while an input method composes (229 is Safari's sign of that). */
export function isSend(event) {
  return event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey
    && !event.isComposing && event.keyCode !== 229;
}

/** Let a textarea grow with its text. */
export function grow(area) {
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight, TALLEST_PX)}px`;
}

/**
 * A composer: `{ node, area, setBusy, clear }`. `send(text)` gets the question, `stop()` ends the
 * answer being written, `draft(text)` hears every change so that a half-written question survives.
 */
export function composer({ label, placeholder, value = '', sendLabel, send, stop, draft, tools = [] }) {
  const area = h('textarea', { id: uid('question'), rows: 1, placeholder, value, enterkeyhint: 'send', autocomplete: 'off' });
  const button = h('button', { type: 'submit', class: 'send-button' });
  let busy = false;
  const submit = () => {
    const text = area.value.trim();
    if (!busy && text !== '') send(text);
  };
  const form = h('form', { class: 'composer' },
    h('label', { class: 'sr-only', for: area.id }, label), area,
    h('div', { class: 'composer-foot' }, h('div', { class: 'composer-tools' }, tools), button));
  function draw() {
    const word = busy ? t('chat.stop') : sendLabel;
    button.setAttribute('aria-label', word);
    button.title = word;
    button.classList.toggle('stop', busy);
    button.disabled = !busy && area.value.trim() === '';
    fill(button, icon(busy ? 'stop' : 'send', 18));
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (busy) stop();
    else submit();
  });
  area.addEventListener('keydown', (event) => {
    if (!isSend(event)) return;
    event.preventDefault();
    submit();
  });
  area.addEventListener('input', () => {
    grow(area);
    draft(area.value);
    draw();
  });
  form.addEventListener('mousedown', (event) => {
    if (event.target === form) {
      event.preventDefault();
      area.focus();
    }
  });
  draw();
  requestAnimationFrame(() => grow(area));
  return {
    node: form,
    area,
    setBusy(next) {
      if (busy === next) return;
      busy = next;
      draw();
    },
    set(text) {
      area.value = text;
      draft(text);
      grow(area);
      draw();
    },
  };
}
