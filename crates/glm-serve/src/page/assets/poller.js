// Repeating a request while it is of use: not while the page is hidden, slower after failures.

const FIRST_WAIT_MS = 3000;
const LONGEST_WAIT_MS = 30000;

/**
 * Run `task(signal)` again and again; it resolves to the milliseconds until the next time.
 * `failed(error)` returns whether to go on. `{ stop }` ends it and aborts what is on its way.
 */
export function poller(task, failed) {
  const controller = new AbortController();
  let timer = null;
  let wait = FIRST_WAIT_MS;
  async function run() {
    if (document.hidden) {
      document.addEventListener('visibilitychange', run, { once: true, signal: controller.signal });
      return;
    }
    let next;
    try {
      next = await task(controller.signal);
      wait = FIRST_WAIT_MS;
    } catch (error) {
      if (controller.signal.aborted || !failed(error)) return;
      next = wait;
      wait = Math.min(LONGEST_WAIT_MS, wait * 2);
    }
    if (!controller.signal.aborted) timer = setTimeout(run, next);
  }
  run();
  return {
    stop() {
      controller.abort();
      clearTimeout(timer);
    },
  };
}
