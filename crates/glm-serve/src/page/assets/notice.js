// Notices: a plain remark, and the card of an error with the server's words, what to do, and a retry that may count down.
import { h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';

/** A remark beside content: `kind` is `info` or `warning`. */
export function remark(kind, ...content) {
  return h('p', { class: `remark ${kind}` }, icon(kind === 'warning' ? 'warning' : 'info', 16), h('span', {}, ...content));
}

/**
 * The card of an error: `{ node, destroy }`. `retry()` runs on the button, and by itself after the
 * server's Retry-After when it was overloaded and `automatic` is true. `enterKey()` is offered when
 * the key was refused.
 */
export function errorCard(error, { retry, enterKey, automatic = false } = {}) {
  const actions = h('div', { class: 'card-actions' });
  let timer = null;
  const destroy = () => clearInterval(timer);
  const again = () => {
    destroy();
    retry();
  };
  if (error.kind === 'key' && enterKey) {
    actions.append(h('button', { type: 'button', class: 'button primary small', onclick: enterKey }, icon('key', 15), t('error.enterkey')));
  }
  if (retry) {
    const button = h('button', { type: 'button', class: 'button small', onclick: again }, icon('refresh', 15), t('retry'));
    actions.append(button);
    if (error.kind === 'busy' && automatic) actions.append(...countdown(error, button));
  }
  function countdown({ retryAfter }, button) {
    let left = Math.max(1, Math.round(retryAfter ?? 3));
    button.lastChild.textContent = t('error.now');
    const clock = h('span', { class: 'countdown', role: 'timer' }, t('error.countdown', { seconds: left }));
    const wait = h('button', {
      type: 'button', class: 'button small quiet',
      onclick: () => { destroy(); clock.remove(); wait.remove(); button.lastChild.textContent = t('retry'); button.focus(); },
    }, t('error.wait'));
    timer = setInterval(() => {
      left -= 1;
      clock.textContent = t('error.countdown', { seconds: Math.max(0, left) });
      if (left <= 0) again();
    }, 1000);
    return [wait, clock];
  }
  const says = error.message ? h('p', { class: 'says' }, t('error.says'), h('span', { class: 'quoted' }, error.message)) : null;
  const node = h('div', { class: `card error ${error.kind}`, role: 'alert' },
    icon(error.kind === 'key' ? 'key' : 'warning', 20),
    h('div', {}, h('p', { class: 'card-title' }, t(`error.${error.kind}`)), says, h('p', {}, t(`error.${error.kind}.do`))));
  const card = h('div', { class: 'card-box' }, node, actions.childElementCount > 0 ? actions : null);
  return { node: card, destroy };
}

/** A short message at the foot of the page. */
export function toast(text, shownMs = 6000) {
  const node = h('div', { class: 'toast', role: 'status' }, text);
  document.querySelector('.toast')?.remove();
  document.body.append(node);
  setTimeout(() => node.remove(), shownMs);
}
