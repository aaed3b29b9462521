/*
 * Loaded into a migration that is a script of its own, before it: when the engine is gone, or tells it to stop, the
 * script ends too. Plain JavaScript, since it is loaded before any loader.
 */
process.on('disconnect', () => process.exit(1));
process.on('message', (message) => {
  if (message?.type === 'abort') process.kill(process.pid, 'SIGTERM');
});
// The channel alone must not keep a finished script alive.
process.channel?.unref();
