// The side list of conversations.
import { conversationEvents, conversations, discard } from './conversations.js';
import { confirm } from './dialogs.js';
import { fill, h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { ago } from './format.js';

/** The list: `{ node, mark, destroy }`. `open(id)` shows a conversation (null: a new one), `removed(id)` hears of deletions. */
export function chatList({ open, removed }) {
  const list = h('ul', { class: 'chat-items' });
  let current = null;
  async function remove(conversation) {
    const title = conversation.title || t('chat.untitled');
    const agreed = await confirm({ title: t('chat.delete.title'), text: t('chat.delete.text', { title }), action: t('chat.delete.do') });
    if (!agreed) return;
    discard(conversation.id);
    removed(conversation.id);
  }
  function item(conversation) {
    const title = conversation.title || t('chat.untitled');
    return h('li', { class: conversation.id === current ? 'current' : null },
      h('button', { type: 'button', class: 'chat-item', 'aria-current': conversation.id === current ? 'true' : null, onclick: () => open(conversation.id) },
        h('span', { class: 'chat-item-title' }, title), h('span', { class: 'chat-item-time' }, ago(conversation.updated / 1000))),
      h('button', { type: 'button', class: 'icon-button', 'aria-label': t('chat.delete', { title }), title: t('chat.delete.do'), onclick: () => remove(conversation) }, icon('trash', 16)));
  }
  function draw() {
    const held = [...list.querySelectorAll('button')].indexOf(document.activeElement);
    const all = conversations();
    fill(list, all.length > 0 ? all.map(item) : h('li', { class: 'none' }, t('chat.none')));
    if (held >= 0) list.querySelectorAll('button')[held]?.focus();
  }
  conversationEvents.addEventListener('change', draw);
  draw();
  const node = h('section', { class: 'chat-list', 'aria-label': t('chat.list') },
    h('button', { type: 'button', class: 'button new-chat', onclick: () => open(null) }, icon('plus'), t('chat.new')),
    h('h2', { class: 'list-title' }, t('chat.list')), list);
  return {
    node,
    mark(id) {
      current = id;
      draw();
    },
    destroy: () => conversationEvents.removeEventListener('change', draw),
  };
}
