// The chat view: list of conversations, thread, composer and sampling.
import { answerLast, answeringEvents, isAnswering, stopAnswer } from './answering.js';
import { chatList } from './chat-list.js';
import { composer } from './composer.js';
import { conversation as stored, conversationEvents, create, keep } from './conversations.js';
import { confirm, openDrawer } from './dialogs.js';
import { fill, h } from './dom.js';
import { parameters } from './format.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { modelPicker, modelRemarks } from './model-picker.js';
import { toast } from './notice.js';
import { chooseModel, chosenModel, findModel, serverInfo } from './server.js';
import { sidePanel } from './side-panel.js';
import { load, save } from './storage.js';
import { thread } from './thread.js';

// What outlives leaving the view or changing the language.
let current = stored(load('open', null, 'session')) ?? create();
let draft = '';
const retried = new WeakMap();

function greeting(ask) {
  const { base } = serverInfo();
  return h('div', { class: 'hello' },
    h('h2', {}, t('chat.hello')),
    h('p', {}, t('chat.hello.text')),
    h('p', { class: 'facts' }, h('strong', {}, base.name), h('span', {}, t('model.facts', { variant: base.variant, parameters: parameters(base.parameters), layers: base.layers })),
      h('span', {}, t('model.held', { held: base.held_as, compute: base.compute }))),
    h('ul', { class: 'examples' }, [1, 2, 3, 4].map((number) => t(`chat.try.${number}`)).map((text) =>
      h('li', {}, h('button', { type: 'button', onclick: () => ask(text) }, text)))));
}

/** Put the chat view into `main`: `{ destroy }`. */
export function chatView(main) {
  const picker = modelPicker((findModel(current.model) ?? chosenModel()).id, (id) => {
    chooseModel(id);
    drawRemarks();
  });
  const remarks = h('div', { class: 'remarks' });
  const messages = thread({ resend, regenerate: again, retry, retries: () => retried.get(current) ?? 0, empty: () => greeting(ask) });
  const side = sidePanel();
  const clear = h('button', { type: 'button', class: 'icon-button', 'aria-label': t('chat.clear'), title: t('chat.clear'), onclick: empty }, icon('trash'));
  const box = composer({
    label: t('chat.question'), placeholder: t(matchMedia('(max-width: 700px)').matches ? 'chat.placeholder.short' : 'chat.placeholder'),
    value: draft, sendLabel: t('chat.send'), send: ask, stop: () => stopAnswer(current.id), draft: (text) => { draft = text; },
  });
  let drawer = null;
  const list = chatList({
    open(id) {
      drawer?.close();
      show(id === null ? create() : stored(id));
      box.area.focus();
    },
    removed(id) {
      stopAnswer(id);
      if (id === current.id) show(create());
    },
  });
  const openList = h('button', { type: 'button', class: 'icon-button only-narrow', 'aria-label': t('chat.list'), title: t('chat.list'), onclick: () => { drawer = openDrawer(list.node, t('chat.list'), 'left'); } }, icon('menu'));

  const model = () => findModel(picker.value()) ?? chosenModel();
  function drawRemarks() {
    fill(remarks, modelRemarks(model()));
  }
  function drawBusy() {
    box.setBusy(isAnswering(current.id));
    clear.disabled = current.messages.length === 0 || isAnswering(current.id);
  }
  function redraw() {
    messages.show(current);
    drawBusy();
    list.mark(current.id);
  }
  function show(conversation) {
    current = conversation;
    save('open', current.id, 'session');
    if (current.model && findModel(current.model)) picker.choose(current.model);
    drawRemarks();
    redraw();
    messages.toEnd();
  }
  function answer() {
    save('open', current.id, 'session');
    answerLast(current, model());
    redraw();
    messages.toEnd();
  }
  function ask(text) {
    if (isAnswering(current.id)) return toast(t('chat.busy'));
    current.messages.push({ id: `${Date.now()}-${current.messages.length}`, role: 'user', content: text });
    retried.delete(current);
    box.set('');
    answer();
    return undefined;
  }
  function resend(index, text) {
    if (isAnswering(current.id)) return toast(t('chat.busy'));
    current.messages.length = index;
    ask(text);
    box.area.focus();
    return undefined;
  }
  function again() {
    retried.delete(current);
    answer();
    box.area.focus();
  }
  function retry(automatic) {
    if (automatic) retried.set(current, (retried.get(current) ?? 0) + 1);
    else retried.delete(current);
    answer();
  }
  async function empty() {
    if (!await confirm({ title: t('chat.clear.title'), text: t('chat.clear.text'), action: t('chat.clear.do') })) return;
    current.messages.length = 0;
    keep(current);
    redraw();
    box.area.focus();
  }
  function progress({ detail }) {
    if (detail.conversation.id !== current.id) return;
    if (!messages.progress(detail.answer)) redraw();
    drawBusy();
    if (detail.answer.status !== 'streaming') list.mark(current.id);
  }

  // Another tab may have gone on with this conversation.
  function follow() {
    const latest = stored(current.id);
    if (latest === undefined || latest === current || isAnswering(current.id)) return;
    current = latest;
    redraw();
  }

  answeringEvents.addEventListener('progress', progress);
  conversationEvents.addEventListener('change', follow);
  fill(main, h('div', { class: 'chat-layout' },
    h('div', { class: 'chat-side' }, list.node),
    h('div', { class: 'chat-main' },
      h('h1', { class: 'sr-only' }, t('chat.title')),
      h('div', { class: 'bar' }, openList, picker.node, h('span', { class: 'space' }), clear, side.button),
      remarks, messages.node, h('div', { class: 'composer-place' }, box.node)),
    side.node));
  show(current);
  if (matchMedia('(min-width: 900px)').matches) box.area.focus({ preventScroll: true });
  return {
    destroy() {
      answeringEvents.removeEventListener('progress', progress);
      conversationEvents.removeEventListener('change', follow);
      for (const part of [picker, messages, list, side]) part.destroy();
    },
  };
}
