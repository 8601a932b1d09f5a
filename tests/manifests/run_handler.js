// Calls one handler of an app's server.js in a context of its own, as the platform does: `exports`, `$request` and
// `renderData` are given, and nothing else of Node. Reads {file, handler, payload, failure} from standard input and
// writes {handlers, requests, logs, rendered}.
const { readFileSync } = require('node:fs');
const vm = require('node:vm');

const asked = JSON.parse(readFileSync(0, 'utf-8'));
const seen = { handlers: [], requests: [], logs: [], rendered: 0 };

const context = vm.createContext({
  exports: {},
  console: Object.fromEntries(
    ['log', 'info', 'warn', 'error'].map((name) => [name, (...words) => seen.logs.push(words.join(' '))])
  ),
  renderData: () => { seen.rendered += 1; },
  $request: {
    invokeTemplate: (name, options) => {
      seen.requests.push({ name, options });
      return asked.failure ? Promise.reject(asked.failure) : Promise.resolve({ status: 202, response: '{}' });
    }
  }
});

vm.runInContext(readFileSync(asked.file, 'utf-8'), context, { filename: asked.file });
seen.handlers = Object.keys(context.exports);

Promise.resolve(asked.handler ? context.exports[asked.handler](asked.payload) : undefined)
  .then(() => process.stdout.write(JSON.stringify(seen)));
