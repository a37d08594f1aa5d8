import { setTimeout as sleep } from 'node:timers/promises';

async function* events(count, pause) {
  for (let number = 1; number <= count; number++) {
    yield `id: ${number}\nevent: tick\ndata: ${JSON.stringify({ number })}\n\n`;
    await sleep(pause * 1000);
  }
  yield 'event: done\ndata: {}\n\n';
}

export const handler = async (event) => {
  const { count = '5', pause = '1' } = event.queryStringParameters ?? {};
  return {
    statusCode: 200,
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
    body: events(Number(count), Number(pause)),
  };
};
