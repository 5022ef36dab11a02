// One question in a conversation, with copying and editing.
import { copyButton } from './copy.js';
import { fill, h, uid } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { grow, isSend } from './composer.js';

/** The view of a question. `resend(text)` replaces it and what follows; false from it keeps the editor open. */
export function questionView(message, { resend }) {
  const node = h('div', { class: 'question' });
  function show(focus = false) {
    const edit = h('button', { type: 'button', class: 'icon-button', 'aria-label': t('chat.edit'), title: t('chat.edit'), onclick: change }, icon('edit', 16));
    fill(node,
      h('h2', { class: 'sr-only' }, t('chat.you')),
      h('div', { class: 'question-text' }, message.content),
      h('div', { class: 'question-actions' }, copyButton(() => message.content, t('chat.copy.question')), edit));
    if (focus) edit.focus();
  }
  function change() {
    const area = h('textarea', { id: uid('edit'), rows: 1, value: message.content });
    const send = () => {
      const text = area.value.trim();
      if (text !== '') resend(text);
    };
    area.addEventListener('input', () => grow(area));
    area.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !event.isComposing) {
        event.stopPropagation();
        show(true);
      } else if (isSend(event)) {
        event.preventDefault();
        send();
      }
    });
    const form = h('form', { class: 'question-edit' },
      h('label', { class: 'sr-only', for: area.id }, t('chat.edit')), area,
      h('div', { class: 'edit-foot' }, h('p', { class: 'field-help' }, t('chat.edit.note')),
        h('button', { type: 'button', class: 'button small', onclick: () => show(true) }, t('cancel')),
        h('button', { type: 'submit', class: 'button primary small' }, t('chat.edit.send'))));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      send();
    });
    fill(node, form);
    grow(area);
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }
  show();
  return node;
}
