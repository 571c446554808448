// Reads server-sent events from a fetch response: EventSource cannot send the API key.

/**
 * The events of a text/event-stream, as { id, name, data } with data parsed from JSON.
 *
 * `onActivity()` is called for every chunk, also for comments that keep the connection alive.
 *
 * @yields {{id: ?string, name: string, data: *}} the next event with data
 */
export async function* readEvents(response, onActivity = () => {}) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onActivity();
      const blocks = (buffer + value).split("\n\n");
      buffer = blocks.pop();
      yield* blocks.map(parseEvent).filter((event) => event.data !== null);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parseEvent(block) {
  const event = { id: null, name: "message", data: null };
  for (const line of block.split("\n")) {
    const { key, value } = /^(?<key>\w*): ?(?<value>.*)$/u.exec(line)?.groups ?? {};
    if (key === "id") event.id = value;
    if (key === "event") event.name = value;
    if (key === "data") event.data = JSON.parse(value);
  }
  return event;
}
