// Asking for the key, and trying it on a route that needs one.
import { askKey } from './dialogs.js';
import { refreshInfo } from './server.js';

/** Open the key dialog; resolves to whether the server accepted a key. */
export function enterKey() {
  return askKey(async () => {
    try {
      await refreshInfo();
      return true;
    } catch (error) {
      if (error.kind === 'key') return false;
      throw error;
    }
  });
}
