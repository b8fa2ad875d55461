import '@testing-library/jest-dom/vitest';

/** jsdom lays nothing out, so it has no ResizeObserver; the chart only needs one to exist. */
class QuietResizeObserver implements ResizeObserver {
  observe = (): void => undefined;
  unobserve = (): void => undefined;
  disconnect = (): void => undefined;
}

globalThis.ResizeObserver = QuietResizeObserver;
