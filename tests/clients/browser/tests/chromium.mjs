// Headless Chromium from the system, with a profile of its own that is thrown away.

import { chromium } from 'playwright-core';

/** Where Debian's package has it; CHROMIUM names another one. */
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** A browser whose tabs report what goes wrong in them on stderr. */
export async function openBrowser() {
  const browser = await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
  return {
    /** A profile with cookies of its own, as another person has; `options` are those of its window. */
    async person(options = {}) {
      const context = await browser.newContext(options);
      context.on('page', (page) => {
        page.on('pageerror', (error) => process.stderr.write(`page: ${error.stack ?? error}\n`));
        page.on('console', (message) => {
          if (message.type() === 'error') process.stderr.write(`console: ${message.text()}\n`);
        });
      });
      return context;
    },
    close: () => browser.close(),
  };
}
