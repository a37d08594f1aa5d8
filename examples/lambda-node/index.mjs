import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

async function* rows(count, context) {
  yield 'row,left\n';
  for (let row = 1; row <= count; row++) {
    yield `${row},${context.getRemainingTimeInMillis() > 0}\n`;
    await sleep(200);
  }
}

export const handler = awslambda.streamifyResponse(async (event, responseStream, context) => {
  const count = Number(event.queryStringParameters?.rows ?? 3);
  responseStream = awslambda.HttpResponseStream.from(responseStream, {
    statusCode: 200,
    headers: { 'Content-Type': 'text/csv', 'X-Request': context.awsRequestId },
  });
  await pipeline(Readable.from(rows(count, context)), responseStream);
});
