// Prints as a chatty program does.
const line = 'a line of a log, of the length that lines of logs have, with a number at its end to tell it from the others:';

exports.handler = async () => {
  for (let i = 0; i < 500; i++) console.log(line, i);
  return { statusCode: 200, body: '500' };
};
