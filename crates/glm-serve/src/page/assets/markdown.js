// Markdown of models into safe elements: parsed by marked, cleaned by DOMPurify, never assigned as HTML.
import { h } from './dom.js';
import { t } from './i18n.js';
import { copyButton } from './copy.js';
import { Marked } from './vendor/marked.js';
import createPurify from './vendor/purify.js';

const purify = createPurify(window);

const CLEAN = {
  ALLOWED_TAGS: ['p', 'br', 'hr', 'h3', 'strong', 'em', 'del', 'code', 'pre', 'blockquote',
    'ul', 'ol', 'li', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'a'],
  ALLOWED_ATTR: ['href', 'start', 'align', 'class'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  RETURN_DOM_FRAGMENT: true,
};

function escape(text) {
  return text.replace(/[&<>"']/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[letter]);
}

// CommonMark does not close ** after Chinese punctuation before a letter (**注意：**请…), which models write all the time.
const strong = {
  name: 'strong', level: 'inline',
  start: (source) => source.indexOf('**'),
  tokenizer(source) {
    const match = /^\*\*(?=\S)([^*`\n]+?)(?<=\S)\*\*(?!\*)/.exec(source);
    if (match === null) return undefined;
    return { type: 'strong', raw: match[0], text: match[1], tokens: this.lexer.inlineTokens(match[1]) };
  },
};

const marked = new Marked({
  gfm: true, breaks: true, async: false,
  extensions: [strong],
  renderer: {
    // HTML in an answer is shown as what it is; only a line break, common in table cells, is obeyed.
    html: ({ text }) => (/^<br\s*\/?>$/i.test(text.trim()) ? '<br>' : escape(text)),
    // One level for all: whatever a model begins with, the page's outline stays in order. The class keeps the look.
    heading({ tokens, depth }) { return `<h3 class="heading-${depth}">${this.parser.parseInline(tokens)}</h3>`; },
    image: ({ text }) => escape(t('image.dropped', { text })),
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
});

purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.nodeName === 'A') {
    if (node.hasAttribute('href')) {
      node.setAttribute('target', '_blank');
      node.setAttribute('rel', 'noopener noreferrer');
    }
  }
  // Only the language of a code block and the depth of a heading may be a class.
  const allowed = { CODE: /^language-[\w+#.-]{1,30}$/, H3: /^heading-[1-6]$/ }[node.nodeName];
  if (node.hasAttribute?.('class') && !allowed?.test(node.className)) node.removeAttribute('class');
});

function finishCode(pre) {
  const code = pre.querySelector('code');
  const text = (code ?? pre).textContent.replace(/\n$/, '');
  const language = /^language-(.+)$/.exec(code?.className ?? '')?.[1];
  pre.tabIndex = 0;
  pre.setAttribute('role', 'group');
  pre.setAttribute('aria-label', t('code.block'));
  const box = h('div', { class: 'code' });
  pre.replaceWith(box);
  box.append(h('div', { class: 'code-head' }, h('span', {}, language ?? t('code.text')), copyButton(() => text, t('code.copy'), true)), pre);
}

function finishTable(table) {
  const box = h('div', { class: 'table-scroll', tabindex: 0, role: 'group' });
  table.replaceWith(box);
  box.append(table);
}

function elements(tokens) {
  const fragment = purify.sanitize(marked.parser(tokens), CLEAN);
  fragment.querySelectorAll('pre').forEach(finishCode);
  fragment.querySelectorAll('table').forEach(finishTable);
  return [...fragment.childNodes];
}

const shown = new WeakMap();

/** Show Markdown in `container`. Blocks that did not change since the last call stay as they are, so a growing answer costs little and keeps selections. */
export function showMarkdown(container, text) {
  const tokens = marked.lexer(text);
  const before = shown.get(container) ?? [];
  let same = 0;
  // Link definitions may change blocks anywhere before them.
  if (Object.keys(tokens.links ?? {}).length === 0) {
    while (same < tokens.length && same < before.length && tokens[same].raw === before[same].raw) same += 1;
  }
  for (const block of before.slice(same)) block.nodes.forEach((node) => node.remove());
  const blocks = before.slice(0, same);
  for (const token of tokens.slice(same)) {
    const nodes = elements([token]);
    container.append(...nodes);
    blocks.push({ raw: token.raw, nodes });
  }
  shown.set(container, blocks);
}
