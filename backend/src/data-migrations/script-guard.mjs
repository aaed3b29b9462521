import { Socket } from 'node:net';

/*
 * Loaded into a migration that is a script of its own, before it: when the engine is gone, or tells it to stop, the
 * script ends too. Plain JavaScript, since it is loaded before any loader.
 */
const fd = Number(process.env['HOLDFAST_CHANNEL']);
// Processes and threads that the script starts load this too; the channel is not theirs.
delete process.env['HOLDFAST_CHANNEL'];
if (fd > 0) {
  const channel = new Socket({ fd });
  let heard = '';
  channel.setEncoding('utf8').on('data', (text) => {
    const lines = (heard + text).split('\n');
    heard = lines.pop() ?? '';
    if (lines.some((line) => JSON.parse(line).type === 'abort')) process.kill(process.pid, 'SIGTERM');
  });
  channel.on('error', () => {});
  channel.on('close', () => process.exit(1));
  // The channel alone must not keep a finished script alive.
  channel.unref();
}
