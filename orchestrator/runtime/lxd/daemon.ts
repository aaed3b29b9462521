import { messageOf, Refusal } from '../../lib/errors.ts';
import { CommandError, type Runtime } from '../runtime.ts';

/** What belongs to a client: LXD's own, or that of Incus. */
const termsOf = (program: string) =>
  /(^|\/)incus[^/]*$/.test(program)
    ? {
        ...{ daemon: 'Incus', group: 'incus-admin', service: 'incus' },
        install: 'sudo apt-get install -y incus',
      }
    : {
        ...{ daemon: 'LXD', group: 'lxd', service: 'lxd' },
        install: 'sudo apt-get install -y lxd (or incus, and lxd: { client: incus } in appliance.yaml)',
      };

/** What a client says that got through to nobody, in the words of LXD 4 to 6 and of Incus 6. */
const noAnswer =
  /Error: (?:Get "http:\/\/unix\.socket|LXD unix socket "|The incus daemon doesn't appear|You don't have the needed permissions)/;

/** @returns why a client did not reach its daemon, with what to type; undefined where it did, whatever else went wrong */
export function whyNoAnswer(program: string, said: string): Refusal | undefined {
  if (!noAnswer.test(said)) return undefined;
  const { daemon, group, service } = termsOf(program);
  if (/permission/i.test(said))
    return new Refusal(
      `this user may not speak to the daemon of ${daemon}`,
      `sudo adduser "$USER" ${group}, then log in anew; or run it as root`,
    );
  return new Refusal(`the daemon of ${daemon} does not answer`, `sudo systemctl start ${service}`);
}

function whyNotStarted(program: string, error: unknown): Refusal | undefined {
  if (!(error instanceof CommandError) || error.exitCode !== undefined) return undefined;
  if (!/\bENOENT\b/.test(error.message)) return undefined;
  const { daemon, install } = termsOf(program);
  return new Refusal(`there is no ${program} on this machine, the client of ${daemon}`, install, error);
}

/** The same machine, where a client that reaches nobody is told as that, and not as a command that failed. */
export function answering(machine: Runtime, program: string): Runtime {
  return {
    ...machine,
    run: async (command, options) => {
      if (command.file !== program) return await machine.run(command, options);
      try {
        const result = await machine.run(command, options);
        const why = result.exitCode === 0 ? undefined : whyNoAnswer(program, result.stderr);
        if (why) throw why;
        return result;
      } catch (error) {
        if (error instanceof Refusal) throw error;
        throw whyNotStarted(program, error) ?? whyNoAnswer(program, messageOf(error)) ?? error;
      }
    },
  };
}
