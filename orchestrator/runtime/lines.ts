/** How long a line may be, in characters: what a program reports of itself as JSON is shorter. */
const longestLine = 1024 * 1024;
/** How much of the end of an output is kept. */
const keptEnd = 1024 * 1024;
/** No secret is longer: the end of a line that is cut might be the beginning of one, which nothing would mask. */
const longestSecret = 1024;

/**
 * Tells the lines of a stream as they come, blank ones left out; of one without an end its beginning. Takes bounded
 * memory, and time by what comes.
 *
 * @returns the end of what came, once the stream is closed
 */
export async function forEachLine(
  stream: NodeJS.ReadableStream,
  onLine: (line: string) => void,
): Promise<string> {
  let rest = '';
  let isCut = false;
  let end = '';
  const tell = (line: string) => {
    if (line.trim() !== '') onLine(line.length > longestLine ? cut(line) : line);
  };
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    end += chunk;
    if (end.length > 2 * keptEnd) end = end.slice(-keptEnd);
    const [first = '', ...more] = chunk.split(/\r?\n|\r/);
    if (!isCut) rest += first;
    const last = more.pop();
    if (last !== undefined) {
      if (!isCut) tell(rest);
      for (const line of more) tell(line);
      [rest, isCut] = [last, false];
    }
    if (rest.length > longestLine) {
      tell(rest);
      [rest, isCut] = ['', true];
    }
  });
  stream.on('end', () => tell(rest));
  await new Promise<void>((resolve) => void stream.once('close', resolve));
  return end;
}

function cut(line: string): string {
  const from = longestLine - longestSecret;
  const blank = line.slice(from, longestLine).search(/\s\S*$/);
  return `${line.slice(0, from + Math.max(0, blank))} ... (this line goes on)`;
}
