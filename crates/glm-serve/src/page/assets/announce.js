// What screen readers are told: whole sentences of a growing answer, not every re-drawing of it.

import { t } from './i18n.js';

const SENTENCE = /[^。！？!?\n]*?(?:[。！？!?\n]|\.(?=\s))+/gy;
const KEPT_LINES = 30;

/** Read out a text politely, after what is being read. */
export function announce(text) {
  const live = document.getElementById('live');
  const line = document.createElement('p');
  line.textContent = text;
  live.append(line);
  while (live.childElementCount > KEPT_LINES) live.firstElementChild.remove();
}

/**
 * Reads the finished sentences of Markdown that grows: call it with the text so far, `end` at its
 * end. Marks are left out, and of a code block only that there is one. What was there before
 * `start` is not read.
 */
export function sentenceReader(start = 0) {
  let read = start;
  let code = false;
  function say(sentence) {
    const text = sentence.trim();
    if (text.startsWith('```')) {
      code = !code;
      if (code) announce(t('code.block'));
    } else if (!code) {
      const words = text.replace(/^#+\s|^>\s|[*`|]+/g, '').trim();
      if (/[\p{L}\p{N}]/u.test(words)) announce(words);
    }
  }
  return (text, end = false) => {
    SENTENCE.lastIndex = read;
    for (let match = SENTENCE.exec(text); match !== null; match = SENTENCE.exec(text)) {
      read = SENTENCE.lastIndex;
      say(match[0]);
    }
    if (!end) return;
    say(text.slice(read));
    read = text.length;
  };
}
