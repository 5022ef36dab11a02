// Modal dialogs on the platform's own <dialog>: it holds the focus, closes by Escape and gives the focus back.
import { keepKey, sendable, useKey } from './api.js';
import { fill, h, uid } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';

function closeOnBackdrop(dialog) {
  dialog.addEventListener('mousedown', (event) => {
    if (event.target === dialog) dialog.close();
  });
}

function closeButton(dialog) {
  return h('button', { type: 'button', class: 'icon-button', 'aria-label': t('close'), title: t('close'), onclick: () => dialog.close() }, icon('close'));
}

function openModal(dialog) {
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.showModal();
}

/** Ask before something that cannot be undone; resolves to whether the user agreed. */
export function confirm({ title, text, action }) {
  const [titleId, textId] = [uid('title'), uid('text')];
  return new Promise((resolve) => {
    let agreed = false;
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': titleId, 'aria-describedby': textId });
    fill(dialog,
      h('h2', { id: titleId }, title),
      h('p', { id: textId }, text),
      h('div', { class: 'dialog-actions' },
        h('button', { type: 'button', class: 'button', autofocus: true, onclick: () => dialog.close() }, t('cancel')),
        h('button', { type: 'button', class: 'button danger', onclick: () => { agreed = true; dialog.close(); } }, action)));
    closeOnBackdrop(dialog);
    dialog.addEventListener('close', () => resolve(agreed));
    openModal(dialog);
  });
}

let asking = null;

/**
 * Ask for the API key until `accepted()` resolves to true or the user closes the dialog; resolves to
 * whether a key was accepted. `accepted` rejects with other errors, which are shown in the dialog.
 */
export function askKey(accepted) {
  asking ??= new Promise((resolve) => {
    const [titleId, textId, inputId, errorId] = [uid('title'), uid('text'), uid('key'), uid('error')];
    let done = false;
    const input = h('input', { id: inputId, class: 'wide', type: 'password', autocomplete: 'current-password', spellcheck: 'false', autofocus: true, 'aria-describedby': `${textId} ${errorId}` });
    const keep = h('input', { type: 'checkbox', id: uid('keep') });
    const problem = h('p', { id: errorId, class: 'form-error', role: 'alert' });
    const submit = h('button', { type: 'submit', class: 'button primary' }, t('key.use'));
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': titleId, 'aria-describedby': textId });
    const form = h('form', { novalidate: true },
      h('div', { class: 'panel-head' }, h('h2', { id: titleId }, t('key.title')), closeButton(dialog)),
      h('p', { id: textId }, t('key.text')),
      h('label', { for: inputId }, t('key.label')), input, problem,
      h('div', { class: 'check-row' }, keep, h('label', { for: keep.id }, t('key.remember'))),
      h('div', { class: 'dialog-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, t('cancel')), submit));
    const fail = (text) => {
      problem.textContent = text;
      input.setAttribute('aria-invalid', 'true');
      input.focus();
      input.select();
    };
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const typed = input.value.trim();
      if (typed === '') return fail(t('key.empty'));
      if (!sendable(typed)) return fail(t('key.bad'));
      const before = useKey(typed);
      submit.disabled = true;
      try {
        done = await accepted();
        if (done) {
          keepKey(keep.checked);
          return dialog.close();
        }
        useKey(before);
        return fail(t('key.wrong'));
      } catch (error) {
        useKey(before);
        return fail(t(`error.${error.kind ?? 'server'}`));
      } finally {
        submit.disabled = false;
      }
    });
    dialog.append(form);
    dialog.addEventListener('close', () => {
      asking = null;
      resolve(done);
    });
    openModal(dialog);
  });
  return asking;
}

/** Show a panel of the page as a drawer; it goes back to its place when the drawer closes. */
export function openDrawer(node, label, side) {
  const place = document.createComment('');
  node.replaceWith(place);
  const dialog = h('dialog', { class: `drawer ${side}`, 'aria-label': label });
  const head = h('div', { class: 'drawer-head' }, closeButton(dialog));
  dialog.append(head, node);
  closeOnBackdrop(dialog);
  dialog.addEventListener('close', () => place.isConnected ? place.replaceWith(node) : node.remove());
  openModal(dialog);
  return dialog;
}
