import { shellWord } from '../lib/shell-word.ts';

/** The commands that advice names; nothing else that looks like ours is touched, such as a service's `./run.sh serve`. */
const commands =
  /(?<![\w./-])\.\/run\.sh (?=(?:update|rollback|status|backup|doctor|logs|setup|start|stop|restart|recover|rehearse|shell|exec|redo|destroy|migrate|data|db|config|help)\b)/g;

/**
 * How this very caller types a command of ours: by the door that he came through, and for the appliance that he named.
 *
 * @param calledAs `$0` of run.sh; undefined where it was not called through the door
 * @param appliance what --appliance said, as it was typed
 */
export function doorFor(calledAs: string | undefined, appliance: string | undefined): string {
  // Without a slash it was found by bash and not by the shell that will read the advice.
  const door = calledAs?.includes('/') === true ? shellWord(calledAs) : './run.sh';
  return appliance === undefined ? door : `${door} --appliance ${shellWord(appliance)}`;
}

/** Advice as it can be typed: each `./run.sh COMMAND` in a text becomes the caller's own way to type it. */
export function spellCommands(text: string, door: string): string {
  return text.replaceAll(commands, () => `${door} `);
}
