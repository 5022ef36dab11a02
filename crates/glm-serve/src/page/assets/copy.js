// Copying to the clipboard, also where the modern way needs HTTPS.
import { h } from './dom.js';
import { announce } from './announce.js';
import { t } from './i18n.js';
import { icon } from './icons.js';

const SHOWN_MS = 1600;

/** Put text on the clipboard; false when the browser refuses. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain HTTP on another machine's address has no clipboard object.
  }
  const held = document.activeElement;
  const area = h('textarea', { class: 'sr-only', readonly: true, value: text, 'aria-hidden': 'true', tabindex: -1 });
  (held?.closest('dialog') ?? document.body).append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  held?.focus();
  return copied;
}

/** A button that copies what `text()` gives and says that it did. */
export function copyButton(text, label, worded = false) {
  const button = h('button', { type: 'button', class: worded ? 'code-copy' : 'icon-button', 'aria-label': label, title: label });
  const show = (name, word) => button.replaceChildren(icon(name, 16), ...(worded ? [word] : []));
  show('copy', t('chat.copy'));
  button.addEventListener('click', async () => {
    const done = await copyText(text());
    const word = t(done ? 'chat.copied' : 'chat.copy.failed');
    show(done ? 'check' : 'warning', word);
    announce(word);
    setTimeout(() => show('copy', t('chat.copy')), SHOWN_MS);
  });
  return button;
}
