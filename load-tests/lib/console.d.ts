/** k6 has a console, which its types leave to the DOM's. */
declare const console: Record<'log' | 'error', (...words: unknown[]) => void>;
