// The browser's storage, which may be blocked or full: reading then gives nothing and writing says so.

const PREFIX = 'glmtune.';

function area(kind) {
  try {
    return kind === 'session' ? window.sessionStorage : window.localStorage;
  } catch {
    return null;
  }
}

/** The parsed value stored under `name`, or `fallback` when absent or unreadable. */
export function load(name, fallback = null, kind = 'local') {
  try {
    const text = area(kind)?.getItem(PREFIX + name);
    return text === null || text === undefined ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

/** Store `value` as JSON; false when the browser refuses (blocked or full). */
export function save(name, value, kind = 'local') {
  try {
    area(kind).setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** Forget what is stored under `name`. */
export function remove(name, kind = 'local') {
  try {
    area(kind)?.removeItem(PREFIX + name);
  } catch {
    // Blocked storage holds nothing to remove.
  }
}

/** Plain strings, for the two settings that boot.js reads before any module runs. */
export function saveText(name, text) {
  try {
    if (text === null) area('local').removeItem(PREFIX + name);
    else area('local').setItem(PREFIX + name, text);
  } catch {
    // The setting then lasts until the page is closed.
  }
}

/** The plain string under `name`, or null. */
export function loadText(name) {
  try {
    return area('local').getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** Names stored under a prefix, without it. */
export function names(prefix) {
  const found = [];
  try {
    const store = area('local');
    for (let index = 0; index < store.length; index += 1) {
      const name = store.key(index);
      if (name.startsWith(PREFIX + prefix)) found.push(name.slice(PREFIX.length + prefix.length));
    }
  } catch {
    // Nothing is stored where storage is blocked.
  }
  return found;
}

/** Call `changed(name)` when another tab of this page writes. */
export function onOtherTab(changed) {
  window.addEventListener('storage', (event) => {
    if (event.key?.startsWith(PREFIX)) changed(event.key.slice(PREFIX.length));
  });
}
