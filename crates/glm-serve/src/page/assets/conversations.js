// Conversations, each under its own name in the browser's storage so that two tabs do not overwrite each other.
import { load, names, onOtherTab, remove, save } from './storage.js';

const PREFIX = 'chat.';
const TITLE_LENGTH = 40;

/** Fires `change` when the list changes, and `full` when the browser refuses to store. */
export const conversationEvents = new EventTarget();

const open = new Map();

function changed() {
  conversationEvents.dispatchEvent(new Event('change'));
}

function isConversation(value) {
  return value !== null && typeof value === 'object' && typeof value.id === 'string' && Array.isArray(value.messages)
    && value.messages.every((message) => typeof message?.content === 'string' && (message.role === 'user' || message.role === 'assistant'));
}

function read(id) {
  const stored = load(PREFIX + id);
  if (!isConversation(stored)) return null;
  for (const message of stored.messages) {
    // The page was closed while this answer was written.
    if (message.status === 'streaming') message.status = 'stopped';
  }
  return stored;
}

for (const id of names(PREFIX)) {
  const conversation = read(id);
  if (conversation !== null) open.set(id, conversation);
}

let isBusy = () => false;
/** Tell which conversations are being answered here: another tab's copy must not replace those. */
export function setBusyTest(test) {
  isBusy = test;
}

onOtherTab((name) => {
  if (!name.startsWith(PREFIX)) return;
  const id = name.slice(PREFIX.length);
  if (isBusy(id)) return;
  const conversation = read(id);
  if (conversation === null) open.delete(id);
  else open.set(id, conversation);
  changed();
});

/** All conversations, the last used first. */
export function conversations() {
  return [...open.values()].sort((one, two) => two.updated - one.updated);
}

/** One conversation, or undefined. */
export function conversation(id) {
  return open.get(id);
}

/** A new conversation. It is stored with its first message. */
export function create() {
  const now = Date.now();
  return { id: crypto.randomUUID?.() ?? `${now}-${Math.random().toString(36).slice(2)}`, title: '', created: now, updated: now, model: null, messages: [] };
}

/** The first question's first line is the title. */
export function titleOf(text) {
  const line = text.trim().split('\n', 1)[0].trim();
  const letters = [...line];
  return letters.length > TITLE_LENGTH ? `${letters.slice(0, TITLE_LENGTH).join('')}…` : line;
}

/** Store a conversation; `touch` makes it the last used. */
export function keep(conversation, touch = true) {
  if (touch) conversation.updated = Date.now();
  const first = conversation.messages.find((message) => message.role === 'user');
  conversation.title = first ? titleOf(first.content) : '';
  open.set(conversation.id, conversation);
  if (!save(PREFIX + conversation.id, conversation)) conversationEvents.dispatchEvent(new Event('full'));
  changed();
}

/** Forget a conversation. */
export function discard(id) {
  open.delete(id);
  remove(PREFIX + id);
  changed();
}
