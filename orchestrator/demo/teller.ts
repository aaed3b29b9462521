import type { Event } from '../pipeline/events.ts';
import type { Ui } from '../ui/ui.ts';
import { describeEvent, type CliEvent } from './cli-events.ts';

/** Tells the story: headings and lines for people, events for programs. */
export interface Teller {
  heading(text: string): void;
  line(text: string): void;
  /** An event of a command that the demo runs; its result is not the demo's. */
  event(event: CliEvent): void;
}

export function tellerFor(ui: Ui): Teller {
  const say = (message: string) => ui.listener({ type: 'say', message });
  return {
    heading: (text) => (ui.isJson ? say(text) : ui.print(`\n${ui.paint.bold(text)}`)),
    line: (text) => (ui.isJson ? say(text) : ui.print(`  ${text}`)),
    event: (event) => {
      if (event.type === 'result') return;
      if (ui.isJson) {
        ui.listener(event as unknown as Event);
        return;
      }
      const text = describeEvent(event, ui.paint);
      if (text !== undefined) ui.print(`  ${text}`);
    },
  };
}
