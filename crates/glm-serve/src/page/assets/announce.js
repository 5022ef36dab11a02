// What screen readers are told: whole sentences of a growing answer, not every re-drawing of it.

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

/** Reads the finished sentences of a text that grows: call it with the text so far, `end` at its end. What was there before `start` is not read. */
export function sentenceReader(start = 0) {
  let read = start;
  return (text, end = false) => {
    SENTENCE.lastIndex = read;
    for (let match = SENTENCE.exec(text); match !== null; match = SENTENCE.exec(text)) {
      read = SENTENCE.lastIndex;
      if (match[0].trim() !== '') announce(match[0].trim());
    }
    const rest = text.slice(read).trim();
    if (end && rest !== '') announce(rest);
    if (end) read = text.length;
  };
}
